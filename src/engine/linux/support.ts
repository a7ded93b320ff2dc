import { messageOf } from '../../base/errors.ts';
import type { Engine } from '../engine.ts';
import type { CreateDriver } from './driver.ts';
import { LinuxEngine, type LinuxOptions } from './engine.ts';
import type { Libc } from './libc.ts';
import { findRecordsFault, findTlsFault } from './tls-support.ts';
import { transparentFault } from './transparent.ts';

/** Whether this machine can run an engine for Linux; if not, the reason, for the log or the error. */
export type LinuxSupport =
  | {
      readonly available: true;
      create(options: LinuxOptions): Engine & { readonly wakeFd: number };
      /** Why nodes cannot be dialled from addresses that are none of this machine; undefined where they can. */
      transparentFault(): string | undefined;
      /** Why it cannot speak TLS here; undefined where it can. */
      tlsFault(): string | undefined;
      /** Why OpenSSL keeps TLS records, whatever the configuration says; undefined where it does not. */
      recordsFault(): string | undefined;
      /** Why nobody gets it who did not ask for it, with so many data threads; undefined where it harms nothing. Absent: it never does. */
      drawback?(threads: number): string | undefined;
    }
  | { readonly available: false; readonly reason: string };

/** @param load throws where the machine cannot */
export function findSupport(
  name: LinuxEngine['name'],
  load: () => Libc,
  createDriver: CreateDriver,
): LinuxSupport {
  try {
    const libc = load();
    return {
      available: true,
      create: (options) => new LinuxEngine(name, libc, createDriver, options),
      transparentFault: () => transparentFault(libc),
      tlsFault: findTlsFault,
      recordsFault: () => findRecordsFault(libc),
    };
  } catch (error) {
    return { available: false, reason: messageOf(error) };
  }
}
