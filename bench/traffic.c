/*
 * Traffic between two network namespaces, for bench/datapath.ts. One binary, both ends.
 *
 *   traffic serve PORT                     answers on TCP and UDP until it is killed; prints "ready"
 *   traffic MODE ADDRESS PORT SECONDS      prints one number: the work that was done
 *
 *   udp   one-way datagrams of 64 bytes that arrived       bulk  bytes of one TCP stream that arrived
 *   crr   TCP connections: connect, one byte each way, close   rr  round trips of one byte on one TCP connection
 *
 *   flood datagrams that were sent, 50,000 a second; whoever likes drops them
 *   scan  the same, each to another port
 *
 * A connection's first byte says what it is for: B bulk, R echo, U how many datagrams have arrived so far, T bytes so far.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, SIZE = 64, BULK = 1 << 16, FLOOD = 50000 };

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct addrinfo *resolve(const char *host, const char *port, int type) {
  struct addrinfo want = {.ai_socktype = type, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found;
  if (getaddrinfo(host, port, &want, &found) != 0) {
    fprintf(stderr, "%s port %s is no address\n", host, port);
    exit(1);
  }
  return found;
}

/* bbr, a common default, paces with timers and halves what one core can do. */
static void use_cubic(int fd) {
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
}

static int dial(const char *host, const char *port, char purpose) {
  struct addrinfo *to = resolve(host, port, SOCK_STREAM);
  int fd = socket(to->ai_family, SOCK_STREAM, 0), one = 1;
  if (fd < 0) die("socket");
  use_cubic(fd);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(fd, to->ai_addr, to->ai_addrlen) < 0) die("connect");
  freeaddrinfo(to);
  if (write(fd, &purpose, 1) != 1) die("write");
  return fd;
}

static uint64_t ask(const char *host, const char *port, char what) {
  int fd = dial(host, port, what);
  uint64_t count;
  if (recv(fd, &count, sizeof count, MSG_WAITALL) != (ssize_t)sizeof count) die("recv");
  close(fd);
  return count;
}

static void udp(const char *host, const char *port, double seconds) {
  static char payload[SIZE];
  struct iovec iov = {payload, SIZE};
  struct mmsghdr batch[BATCH];
  struct addrinfo *to = resolve(host, port, SOCK_DGRAM);
  int fd = socket(to->ai_family, SOCK_DGRAM, 0);
  if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen) < 0) die("udp");
  memset(batch, 0, sizeof batch);
  for (int i = 0; i < BATCH; i++) batch[i].msg_hdr = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1};
  uint64_t before = ask(host, port, 'U');
  for (double end = now() + seconds; now() < end;) sendmmsg(fd, batch, BATCH, 0);
  usleep(50000);
  printf("%llu\n", (unsigned long long)(ask(host, port, 'U') - before));
}

static void bulk(const char *host, const char *port, double seconds) {
  static char payload[BULK];
  uint64_t before = ask(host, port, 'T');
  int fd = dial(host, port, 'B');
  for (double end = now() + seconds; now() < end;)
    if (write(fd, payload, BULK) < 0) die("write");
  close(fd);
  usleep(50000);
  printf("%llu\n", (unsigned long long)(ask(host, port, 'T') - before));
}

static void crr(const char *host, const char *port, double seconds) {
  uint64_t done = 0;
  char byte = 1;
  struct linger reset = {1, 0}; /* no TIME_WAIT: the ports would run out */
  for (double end = now() + seconds; now() < end; done++) {
    int fd = dial(host, port, 'R');
    if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) die("crr");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
  }
  printf("%llu\n", (unsigned long long)done);
}

static void rr(const char *host, const char *port, double seconds) {
  uint64_t done = 0;
  char byte = 1;
  int fd = dial(host, port, 'R');
  for (double end = now() + seconds; now() < end; done++)
    if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) die("rr");
  printf("%llu\n", (unsigned long long)done);
}

/* So many datagrams a second, whatever becomes of them, in portions of a millisecond. */
static void flood(const char *host, const char *port, double seconds, int scan) {
  struct addrinfo *to = resolve(host, port, SOCK_DGRAM);
  int fd = socket(to->ai_family, SOCK_DGRAM, 0);
  uint64_t sent = 0;
  struct iovec iov = {"x", 1};
  struct mmsghdr batch[BATCH];
  struct sockaddr_in6 names[BATCH]; /* the port is where that of sockaddr_in is */
  if (fd < 0) die("udp");
  memset(batch, 0, sizeof batch);
  for (int i = 0; i < BATCH; i++) {
    memcpy(&names[i], to->ai_addr, to->ai_addrlen);
    batch[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_namelen = to->ai_addrlen, .msg_iov = &iov, .msg_iovlen = 1};
  }
  for (double begin = now(), at = begin; at < begin + seconds; at = now()) {
    for (uint64_t due = (uint64_t)((at - begin) * FLOOD); sent < due;) {
      for (int i = 0; scan && i < BATCH; i++) names[i].sin6_port = htons((uint16_t)(1 + (sent + (unsigned)i) % 65535));
      int done = sendmmsg(fd, batch, due - sent < BATCH ? (unsigned)(due - sent) : BATCH, 0);
      sent += done > 0 ? (uint64_t)done : 1; /* refused is sent, too */
      if (scan && sent % 65535 < BATCH) { /* from another port, or they would be no new ones */
        close(fd);
        if ((fd = socket(to->ai_family, SOCK_DGRAM, 0)) < 0) die("udp");
      }
    }
    usleep(1000);
  }
  printf("%llu\n", (unsigned long long)sent);
}

static int bound(const char *port, int type) {
  struct addrinfo *at = resolve("::", port, type);
  int fd = socket(at->ai_family, type | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (fd < 0 || bind(fd, at->ai_addr, at->ai_addrlen) < 0) die("bind");
  freeaddrinfo(at);
  return fd;
}

static uint64_t bytes;
static int sink;
static char purpose_of[65536];

/*
 * Datagrams that reached the socket. Nobody reads them: with both ends on one core a reader would only compete with the
 * sender, so the socket's own drop counter counts what the path delivered.
 */
static uint64_t delivered(int fd) {
  uint32_t info[SK_MEMINFO_VARS];
  socklen_t length = sizeof info;
  if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length) < 0) die("SO_MEMINFO");
  return info[SK_MEMINFO_DROPS];
}

static void take_stream(int fd) {
  static char buffer[BULK];
  ssize_t got = read(fd, buffer, purpose_of[fd] == 'B' ? BULK : 1);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    close(fd);
    return;
  }
  uint64_t answer;
  switch (purpose_of[fd]) {
    case 0:
      purpose_of[fd] = buffer[0];
      if (buffer[0] != 'U' && buffer[0] != 'T') return;
      answer = buffer[0] == 'U' ? delivered(sink) : bytes;
      if (write(fd, &answer, sizeof answer) < 0) perror("write");
      close(fd);
      return;
    case 'B':
      bytes += (uint64_t)got;
      return;
    default:
      if (write(fd, buffer, 1) < 0) close(fd);
  }
}

static void serve(const char *port) {
  int poll = epoll_create1(0), in = bound(port, SOCK_STREAM), one = 1, small = 1;
  sink = bound(port, SOCK_DGRAM);
  setsockopt(sink, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  if (listen(in, 1024) < 0) die("listen");
  use_cubic(in);
  epoll_ctl(poll, EPOLL_CTL_ADD, in, &(struct epoll_event){EPOLLIN, {.fd = in}});
  puts("ready");
  fflush(stdout);
  for (struct epoll_event events[BATCH];;) {
    int ready = epoll_wait(poll, events, BATCH, -1);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd;
      if (fd != in) {
        take_stream(fd);
      } else if ((fd = accept4(in, NULL, NULL, SOCK_NONBLOCK)) >= 0 && fd < (int)sizeof purpose_of) {
        purpose_of[fd] = 0;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &(struct epoll_event){EPOLLIN, {.fd = fd}});
      }
    }
  }
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "serve") == 0) serve(argv[2]);
  if (argc != 5) return fprintf(stderr, "usage: traffic serve PORT | traffic udp|bulk|crr|rr|flood|scan ADDRESS PORT SECONDS\n"), 2;
  double seconds = atof(argv[4]);
  if (strcmp(argv[1], "udp") == 0) udp(argv[2], argv[3], seconds);
  else if (strcmp(argv[1], "bulk") == 0) bulk(argv[2], argv[3], seconds);
  else if (strcmp(argv[1], "crr") == 0) crr(argv[2], argv[3], seconds);
  else if (strcmp(argv[1], "rr") == 0) rr(argv[2], argv[3], seconds);
  else if (strcmp(argv[1], "flood") == 0) flood(argv[2], argv[3], seconds, 0);
  else if (strcmp(argv[1], "scan") == 0) flood(argv[2], argv[3], seconds, 1);
  else return fprintf(stderr, "%s is no mode\n", argv[1]), 2;
  return 0;
}
