import { endianness, constants as os } from 'node:os';
import { CLOSED, CONNECTION, mappingsOf, OTHER } from '../descriptors.ts';
import { loadKoffi } from './koffi.ts';

/**
 * The system calls that the engine makes, through koffi. The only place that knows libc's symbols.
 *
 * Every call returns what the man page says, or the negative errno. Addresses are plain numbers (user space ends
 * at 2^47, so they are exact): `pin` gives a buffer its address once, and nothing is converted per call.
 */
export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: number, length: number): number;
  listen(fd: number, backlog: number): number;
  accept4(fd: number, address: number, lengthAddress: number, flags: number): number;
  connect(fd: number, address: number, length: number): number;
  getsockname(fd: number, address: number, lengthAddress: number): number;
  getsockopt(fd: number, level: number, name: number, value: number, lengthAddress: number): number;
  setsockopt(fd: number, level: number, name: number, value: number, length: number): number;
  recv(fd: number, address: number, length: number, flags: number): number;
  send(fd: number, address: number, length: number, flags: number): number;
  shutdown(fd: number, how: number): number;
  ioctl(fd: number, request: number, argument: number): number;
  close(fd: number): number;
  epollCreate(flags: number): number;
  epollCtl(epfd: number, operation: number, fd: number, event: number): number;
  epollWait(epfd: number, events: number, maxEvents: number, timeoutMs: number): number;
  /** @param sockets address of so many `struct pollfd` */
  poll(sockets: number, count: number, timeoutMs: number): number;
  nanosleep(duration: number, remaining: number): number;
  eventfd(initial: number, flags: number): number;
  read(fd: number, address: number, length: number): number;
  open(path: string, flags: number): number;
  /** Writes the address of an IP literal; 1 done, 0 not a literal. */
  inetPton(family: number, text: string, address: number): number;
  getrlimit(resource: number, address: number): number;
  /** The descriptor of a connection, or of something else, has come from elsewhere, and is this thread's from now on. */
  take(fd: number, isConnection: boolean): void;
  /** io_uring_setup(2), io_uring_enter(2) and io_uring_register(2). */
  uringSetup(entries: number, params: number): number;
  uringEnter(
    fd: number,
    submit: number,
    minComplete: number,
    flags: number,
    argument: number,
    size: number,
  ): number;
  uringRegister(fd: number, operation: number, argument: number, count: number): number;
  /** mmap(2) of a file that is shared with the kernel, for reading and writing. @throws Error with the errno's name */
  map(fd: number, bytes: number, offset: number): Mapping;
  /** munmap(2), when nobody touches the memory any more. */
  unmap(address: number, bytes: number): number;
  /** A zeroed buffer outside V8's heap, so that it never moves, and its address, valid while `bytes` is referenced. */
  pin(bytes: number): Pinned;
}

/** Memory that is shared with the kernel. */
export interface Mapping {
  readonly memory: ArrayBuffer;
  readonly address: number;
}

export interface Pinned {
  readonly bytes: Buffer;
  readonly address: number;
}

/** Constants of `asm-generic`, which x64 and arm64 share. */
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = 0x800;
export const SOCK_CLOEXEC = 0x80000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_KEEPALIVE = 9;
export const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const SO_RCVLOWAT = 18;
export const IPPROTO_IP = 0;
export const IP_TRANSPARENT = 19;
export const IP_BIND_ADDRESS_NO_PORT = 24;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_DEFER_ACCEPT = 9;
export const TCP_QUICKACK = 12;
export const TCP_USER_TIMEOUT = 18;
export const IPPROTO_IPV6 = 41;
export const IPV6_TRANSPARENT = 75;
export const IPV6_V6ONLY = 26;
export const MSG_PEEK = 0x2;
export const MSG_DONTWAIT = 0x40;
export const MSG_WAITALL = 0x100;
export const MSG_NOSIGNAL = 0x4000;
/** Bytes of a socket that its peer has not acknowledged, sent or not (tcp(7)). */
export const SIOCOUTQ = 0x5411;
export const SHUT_RD = 0;
export const SHUT_WR = 1;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLLIN = 0x1;
export const EPOLLPRI = 0x2;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
export const EPOLLET = 0x80000000;
export const RLIMIT_NOFILE = 7;

const URING_SETUP = 425;
const URING_ENTER = 426;
const URING_REGISTER = 427;
const PROT_READ_WRITE = 0x3;
const MAP_SHARED_POPULATE = 0x8001;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

export const {
  EAGAIN,
  EINTR,
  EINPROGRESS,
  ECONNABORTED,
  ECONNRESET,
  EPIPE,
  EPROTO,
  ETIMEDOUT,
  EMFILE,
  ENFILE,
} = os.errno;
export const { EADDRINUSE, EHOSTUNREACH, EADDRNOTAVAIL, EINVAL, ECANCELED, ENOBUFS } = os.errno;
export const { ENOTCONN, EPERM } = os.errno;

const ERRNO_NAMES = new Map(Object.entries(os.errno).map(([name, value]) => [value, name]));

/** `ECONNREFUSED` for 111 or -111. */
export function errnoName(errno: number): string {
  return ERRNO_NAMES.get(Math.abs(errno)) ?? `errno ${Math.abs(errno)}`;
}

/** The same calls; each descriptor that they open, and each mapping, is noted, and forgotten before it is closed, when it may be another's. */
export function noted(libc: Libc, open: Uint8Array): Libc {
  const mappings = mappingsOf(open);
  const opened = (fd: number, kind: number): number => {
    if (fd >= 0) open[fd] = kind;
    return fd;
  };
  return {
    ...libc,
    socket: (domain, type, protocol) => opened(libc.socket(domain, type, protocol), CONNECTION),
    accept4: (fd, address, length, flags) => opened(libc.accept4(fd, address, length, flags), CONNECTION),
    listen(fd, backlog) {
      open[fd] = OTHER;
      return libc.listen(fd, backlog);
    },
    epollCreate: (flags) => opened(libc.epollCreate(flags), OTHER),
    uringSetup: (entries, params) => opened(libc.uringSetup(entries, params), OTHER),
    open: (path, flags) => opened(libc.open(path, flags), OTHER),
    take: (fd, isConnection) => void opened(fd, isConnection ? CONNECTION : OTHER),
    map(fd, bytes, offset) {
      const mapping = libc.map(fd, bytes, offset);
      mappings.set([mapping.address, bytes], mappings.indexOf(0));
      return mapping;
    },
    unmap(address, bytes) {
      mappings.fill(0, mappings.indexOf(address), mappings.indexOf(address) + 2);
      return libc.unmap(address, bytes);
    },
    close(fd) {
      open[fd] = CLOSED;
      return libc.close(fd);
    },
  };
}

/**
 * @throws Error with a readable reason where the platform, koffi or a symbol does not allow it.
 */
export function loadLibc(): Libc {
  checkPlatform();
  const koffi = loadKoffi();
  const libc = koffi.load(null);

  type Native = (...args: (number | string)[]) => number;
  function call<F extends (...args: never[]) => number>(prototype: string): F {
    const native = libc.func(prototype) as unknown as Native;
    switch (prototype.split(',').length) {
      // One closure for each number of arguments: a rest parameter would allocate at every call.
      case 1:
        return ((a: number) => result(native(a))) as unknown as F;
      case 2:
        return ((a: number, b: number) => result(native(a, b))) as unknown as F;
      case 3:
        return ((a: number, b: number, c: number) => result(native(a, b, c))) as unknown as F;
      case 4:
        return ((a: number, b: number, c: number, d: number) => result(native(a, b, c, d))) as unknown as F;
      default:
        return ((a: number, b: number, c: number, d: number, e: number) =>
          result(native(a, b, c, d, e))) as unknown as F;
    }
  }
  function result(value: number): number {
    return value >= 0 ? value : -koffi.errno();
  }

  // glibc has no functions for these.
  const uringSetup = libc.func('long syscall(long number, uint32_t entries, uintptr_t params)');
  const uringEnter = libc.func(
    'long syscall(long number, uint32_t fd, uint32_t submit, uint32_t min, uint32_t flags, uintptr_t arg, size_t size)',
  );
  const uringRegister = libc.func(
    'long syscall(long number, uint32_t fd, uint32_t operation, uintptr_t arg, uint32_t count)',
  );
  const mmap = libc.func(
    'void *mmap(void *at, size_t length, int protection, int flags, int fd, int64_t offset)',
  );

  return {
    socket: call('int socket(int domain, int type, int protocol)'),
    bind: call('int bind(int fd, uintptr_t address, uint32_t length)'),
    listen: call('int listen(int fd, int backlog)'),
    accept4: call('int accept4(int fd, uintptr_t address, uintptr_t length, int flags)'),
    connect: call('int connect(int fd, uintptr_t address, uint32_t length)'),
    getsockname: call('int getsockname(int fd, uintptr_t address, uintptr_t length)'),
    getsockopt: call('int getsockopt(int fd, int level, int name, uintptr_t value, uintptr_t length)'),
    setsockopt: call('int setsockopt(int fd, int level, int name, uintptr_t value, uint32_t length)'),
    recv: call('intptr_t recv(int fd, uintptr_t address, size_t length, int flags)'),
    send: call('intptr_t send(int fd, uintptr_t address, size_t length, int flags)'),
    shutdown: call('int shutdown(int fd, int how)'),
    ioctl: call('int ioctl(int fd, unsigned long request, uintptr_t argument)'),
    close: call('int close(int fd)'),
    epollCreate: call('int epoll_create1(int flags)'),
    epollCtl: call('int epoll_ctl(int epfd, int operation, int fd, uintptr_t event)'),
    poll: call('int poll(uintptr_t sockets, unsigned long count, int timeoutMs)'),
    epollWait: call('int epoll_wait(int epfd, uintptr_t events, int maxEvents, int timeoutMs)'),
    nanosleep: call('int nanosleep(uintptr_t duration, uintptr_t remaining)'),
    eventfd: call('int eventfd(unsigned int initial, int flags)'),
    read: call('intptr_t read(int fd, uintptr_t address, size_t length)'),
    open: call('int open(const char *path, int flags)'),
    inetPton: call('int inet_pton(int family, const char *text, uintptr_t address)'),
    getrlimit: call('int getrlimit(int resource, uintptr_t address)'),
    take: () => undefined,
    uringSetup: (entries, params) => result(uringSetup(URING_SETUP, entries, params)),
    uringEnter: (fd, submit, minComplete, flags, argument, size) =>
      result(uringEnter(URING_ENTER, fd, submit, minComplete, flags, argument, size)),
    uringRegister: (fd, operation, argument, count) =>
      result(uringRegister(URING_REGISTER, fd, operation, argument, count)),
    map(fd, bytes, offset) {
      const pointer = mmap(null, bytes, PROT_READ_WRITE, MAP_SHARED_POPULATE, fd, offset);
      const address = koffi.address(pointer);
      if (address === MAP_FAILED) throw new Error(`mmap: ${errnoName(koffi.errno())}`);
      return { memory: koffi.view(pointer, bytes), address: Number(address) };
    },
    unmap: call('int munmap(uintptr_t address, size_t length)'),
    pin(size) {
      const bytes = Buffer.from(new ArrayBuffer(size)); // costs nothing until it is touched
      return { bytes, address: Number(koffi.address(bytes)) };
    },
  };
}

function checkPlatform(): void {
  if (process.platform !== 'linux') throw new Error(`it needs Linux, this is ${process.platform}`);
  if ((process.arch !== 'x64' && process.arch !== 'arm64') || endianness() !== 'LE') {
    throw new Error(`it knows the struct layouts of x64 and arm64, this is ${process.arch}`);
  }
}
