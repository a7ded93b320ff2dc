import { loadUring } from '../../src/engine/uring/load.ts';

export type LinuxEngineName = 'epoll' | 'uring';

/** The engines for Linux that this machine can run; none elsewhere. */
export const linuxEngines: readonly LinuxEngineName[] =
  process.platform !== 'linux' ? [] : loadUring().available ? ['epoll', 'uring'] : ['epoll'];

/** The engine for Linux that most have, because `auto` takes it. */
export const fastestEngine: LinuxEngineName = linuxEngines.at(-1) ?? 'epoll';
