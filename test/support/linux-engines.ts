import { loadUring } from '../../src/engine/uring/load.ts';

export type LinuxEngineName = 'epoll' | 'uring';

/** The engines for Linux that this machine can run; none elsewhere. */
export const linuxEngines: readonly LinuxEngineName[] =
  process.platform !== 'linux' ? [] : loadUring().available ? ['epoll', 'uring'] : ['epoll'];
