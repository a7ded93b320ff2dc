import { describe } from 'vitest';
import { loadUring } from '../../src/engine/uring/load.ts';
import { handOverContract } from './engine-handover.ts';
import { tlsHandOverContract } from './engine-handover-tls.ts';

/** So small that submissions, completions and buffers run out all the time. */
const sizes = { submissions: 4, completions: 8, buffers: 4 };

describe.runIf(loadUring().available)('engines that are not the same', () => {
  describe('uring, with very small rings, to epoll', () => handOverContract('uring', 'epoll', sizes));
  describe('epoll to uring', () => handOverContract('epoll', 'uring'));
  describe('epoll to uring, by TLS', () => tlsHandOverContract('epoll', 'uring'));
});
