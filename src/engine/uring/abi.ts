/** Numbers and struct layouts of io_uring (linux/io_uring.h), which are the same on x64 and arm64. */

// Operations.
export const OP_POLL_ADD = 6;
export const OP_SENDMSG = 9;
export const OP_ASYNC_CANCEL = 14;
export const OP_SEND = 26;
export const OP_RECV = 27;

// Flags of io_uring_setup(2).
export const SETUP_CQSIZE = 1 << 3;
/** A submission that is refused does not keep those behind it from being submitted. */
export const SETUP_SUBMIT_ALL = 1 << 7;
/** `SQ_TASKRUN` tells that the kernel has completions to write. */
export const SETUP_TASKRUN_FLAG = 1 << 9;
export const SETUP_SINGLE_ISSUER = 1 << 12;
/** The kernel completes operations only while the thread is in io_uring_enter(2) for that. Linux 6.1. */
export const SETUP_DEFER_TASKRUN = 1 << 13;

// What the kernel says that it has.
export const FEAT_SINGLE_MMAP = 1 << 0;
export const FEAT_NODROP = 1 << 1;
export const FEAT_SUBMIT_STABLE = 1 << 2;
export const FEAT_EXT_ARG = 1 << 8;
export const FEAT_CQE_SKIP = 1 << 11;
/** Linux 6.12: `min_wait_usec` of `struct io_uring_getevents_arg`. */
export const FEAT_MIN_TIMEOUT = 1 << 15;
/** Linux 6.15: `ENTER_NO_IOWAIT`. */
export const FEAT_NO_IOWAIT = 1 << 17;

// Flags of io_uring_enter(2).
export const ENTER_GETEVENTS = 1 << 0;
export const ENTER_EXT_ARG = 1 << 3;
export const ENTER_REGISTERED_RING = 1 << 4;
/** A thread that waits is idle, and does not count as one that waits for a disk. */
export const ENTER_NO_IOWAIT = 1 << 7;
/** Of io_uring_enter(2): completions are lost, because there was no memory to keep them. `os.errno` has no name for it. */
export const EBADR = 53;

// Operations of io_uring_register(2).
export const REGISTER_PROBE = 8;
export const REGISTER_RING_FDS = 20;
export const REGISTER_PBUF_RING = 22;

// `struct io_uring_params`: at which byte what is. The offsets of the rings are within the mapping of the ring.
export const PARAMS_BYTES = 120;
export const PARAMS = {
  ...{ sqEntries: 0, cqEntries: 4, flags: 8, features: 20 },
  ...{ sqHead: 40, sqTail: 44, sqMask: 48, sqFlags: 56, sqArray: 64 },
  ...{ cqHead: 80, cqTail: 84, cqMask: 88, cqes: 100 },
} as const;

/** Where the submissions are mapped from; the rings are at 0. */
export const OFFSET_SQES = 0x1000_0000;

/** `struct io_uring_sqe`: 16 words. */
export const SQE_WORDS = 16;
/** The operation, flags of the submission (from bit 8), and `ioprio` (from bit 16). */
export const SQE_OPERATION = 0;
export const SQE_FD = 1;
export const SQE_ADDRESS = 4;
export const SQE_LENGTH = 6;
/** Flags of the operation: of a message, or the events of a poll. */
export const SQE_FLAGS = 7;
export const SQE_USER_DATA = 8;
export const SQE_BUFFER_GROUP = 10;

export const SQE_BUFFER_SELECT = 1 << 5;
export const SQE_SKIP_SUCCESS = 1 << 6;
/** In `ioprio` of a receive: look first whether something is there, and only then try. */
export const RECV_POLL_FIRST = 1 << 0;
export const RECV_MULTISHOT = 1 << 1;
/** In the length of a poll. */
export const POLL_MULTISHOT = 1 << 0;

/** `struct io_uring_cqe`: 4 words: user data in two, the result, and flags, above them the number of a buffer. */
export const CQE_WORDS = 4;
export const CQE_RESULT = 2;
export const CQE_BUFFER = 1 << 0;
export const CQE_MORE = 1 << 1;
export const CQE_BUFFER_SHIFT = 16;

/** In the flags of the submission ring: completions wait that had no room. */
export const SQ_CQ_OVERFLOW = 1 << 1;
export const SQ_TASKRUN = 1 << 2;

/** `struct io_uring_getevents_arg`, and behind it the `__kernel_timespec` that it names. */
export const GETEVENTS_BYTES = 24;
/** Of `struct io_uring_getevents_arg`, in bytes: microseconds, after which one completion is enough. */
export const GETEVENTS_MIN_WAIT = 12;
export const TIMESPEC_BYTES = 16;

/** `struct io_uring_buf`: address, length, number, and in the first one the tail of the ring at byte 14. */
export const BUFFER_BYTES = 16;
export const BUFFER_TAIL = 14;
/** `struct io_uring_buf_reg`. */
export const BUFFER_REGISTRATION_BYTES = 40;

/** `struct iovec` and `struct msghdr`. */
export const IOVEC_BYTES = 16;
export const MSGHDR_BYTES = 56;
