import type { Config, ListenerConfig } from '../config/config.ts';
import { configError, placeOf } from '../config/source.ts';
import type { TlsOptions } from '../engine/tls.ts';
import type { Certificates } from './certificates.ts';

/** A listener as the configuration has it, and what its files say. */
export interface WantedListener {
  readonly config: ListenerConfig;
  readonly tls: TlsOptions | undefined;
  /** Where its address is to be changed: a line of the file, or a flag. */
  readonly place: string;
}

/** @throws ConfigError with all that is wrong with the files that listeners name */
export async function readListeners(
  config: Config,
  certificates: Pick<Certificates, 'read'>,
): Promise<WantedListener[]> {
  const { listeners } = config;
  const { options, problems } = await certificates.read(
    listeners.map((listener, index) => ({ ...listener, index })),
  );
  if (problems.length > 0) throw configError(config, problems);
  return listeners.map((listener, index) => ({
    config: listener,
    tls: options[index],
    place: placeOf(config, ['listeners', index, 'url']),
  }));
}
