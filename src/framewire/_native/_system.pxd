# The system calls of the channel. What the platform lacks is made up for here.
cdef extern from *:
    """
    #define _FW_SYSTEM
    #include <errno.h>
    #include <fcntl.h>
    #include <poll.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #include <time.h>
    #include <unistd.h>
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif

    static inline double fw_seconds(clockid_t clock)
    {
        struct timespec t;
        clock_gettime(clock, &t);
        return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    }

    static inline double fw_monotonic(void) { return fw_seconds(CLOCK_MONOTONIC); }

    /* Some milliseconds behind, for a quarter of the price. */
    static inline double fw_coarse(void)
    {
    #ifdef CLOCK_MONOTONIC_COARSE
        return fw_seconds(CLOCK_MONOTONIC_COARSE);
    #else
        return fw_seconds(CLOCK_MONOTONIC);
    #endif
    }

    static inline ssize_t fw_send_parts(int fd, struct iovec *parts, int count, int flags)
    {
        struct msghdr message;
        flags |= MSG_NOSIGNAL;
        if (count == 1)
            return send(fd, parts->iov_base, parts->iov_len, flags);
        memset(&message, 0, sizeof message);
        message.msg_iov = parts;
        message.msg_iovlen = (size_t)count;
        return sendmsg(fd, &message, flags);
    }

    /* recv(2) into one part, and what comes behind it into a second one. */
    static inline ssize_t fw_receive_parts(int fd, struct iovec *parts, int flags)
    {
        struct msghdr message;
        memset(&message, 0, sizeof message);
        message.msg_iov = parts;
        message.msg_iovlen = 2;
        return recvmsg(fd, &message, flags);
    }

    /* Poll for `reader` and `writer`, each if it is not negative. */
    static inline int fw_wait_for(int reader, int writer, int milliseconds)
    {
        struct pollfd fds[2];
        nfds_t count = 0;
        if (reader >= 0) {
            fds[0].fd = reader;
            fds[0].events = (short)(POLLIN | (writer == reader ? POLLOUT : 0));
            count = 1;
        }
        if (writer >= 0 && writer != reader) {
            fds[count].fd = writer;
            fds[count].events = POLLOUT;
            count++;
        }
        return poll(fds, count, milliseconds);
    }

    static inline void fw_set_blocking(int fd)
    {
        int flags = fcntl(fd, F_GETFL);
        if (flags >= 0 && flags & O_NONBLOCK)
            fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    }

    static inline int fw_is_unix(int fd)
    {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        return getsockname(fd, (struct sockaddr *)&address, &size) == 0 && address.ss_family == AF_UNIX;
    }
    """
    ctypedef struct iovec "struct iovec":
        void *iov_base
        size_t iov_len

    int MSG_DONTWAIT
    Py_ssize_t recv(int fd, void *data, size_t size, int flags) nogil
    Py_ssize_t read(int fd, void *data, size_t size) nogil
    Py_ssize_t writev(int fd, const iovec *parts, int count) nogil
    Py_ssize_t send_parts "fw_send_parts"(int fd, iovec *parts, int count, int flags) nogil
    Py_ssize_t receive_parts "fw_receive_parts"(int fd, iovec *parts, int flags) nogil
    Py_ssize_t readv(int fd, const iovec *parts, int count) nogil
    int wait_for "fw_wait_for"(int reader, int writer, int milliseconds) nogil
    double monotonic "fw_monotonic"() nogil
    double coarse "fw_coarse"() nogil
    void set_blocking "fw_set_blocking"(int fd) nogil
    int is_unix "fw_is_unix"(int fd) nogil

cdef extern from "pythread.h":
    unsigned long get_ident "PyThread_get_thread_ident"()
