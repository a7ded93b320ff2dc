import { BreakwaterError } from '../../base/errors.ts';
import type { ListenOptions } from '../engine.ts';

/** Addresses as `node:net` gives them, and what it says of those that it cannot listen on. */

/** A dual-stack listener shows IPv4 devices as `::ffff:a.b.c.d`: rules and hashes want the plain form. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return '';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

export function listenError(
  listener: Pick<ListenOptions, 'host' | 'port'>,
  error: NodeJS.ErrnoException,
): BreakwaterError {
  const where = `${listener.host}:${listener.port}`;
  if (error.code === 'EADDRINUSE') {
    return new BreakwaterError(
      'ADDRESS_IN_USE',
      `${where} is in use by another program; stop it, or choose another address`,
      { cause: error },
    );
  }
  return new BreakwaterError('ADDRESS_NOT_AVAILABLE', `cannot listen on ${where}: ${error.code}`, {
    cause: error,
  });
}
