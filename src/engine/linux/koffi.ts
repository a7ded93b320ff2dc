import { createRequire } from 'node:module';
import { messageOf } from '../../base/errors.ts';

/** The package that calls C: an optional dependency, loaded where an engine for Linux is. The node engine does without it. */

export type Koffi = typeof import('koffi');

/** @throws Error with a readable reason where it is not installed, or its native part does not fit this machine */
export function loadKoffi(): Koffi {
  try {
    return createRequire(import.meta.url)('koffi') as Koffi;
  } catch (error) {
    const [reason] = messageOf(error).split('\n'); // behind it: who asked for it
    throw new Error(`the optional package koffi cannot be loaded (${reason})`, { cause: error });
  }
}
