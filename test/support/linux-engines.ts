import { loadUring } from '../../src/engine/uring/load.ts';

/** The engines for Linux that this machine can run; none elsewhere. */
export const linuxEngines: readonly ('epoll' | 'uring')[] =
  process.platform !== 'linux' ? [] : loadUring().available ? ['epoll', 'uring'] : ['epoll'];
