import type { Config, ListenerConfig } from '../config/config.ts';
import { ConfigError } from '../config/problems.ts';
import type { TlsOptions } from '../engine/tls.ts';
import type { Certificates } from './certificates.ts';

/** A listener as the configuration has it, and what its files say. */
export interface WantedListener {
  readonly config: ListenerConfig;
  readonly tls: TlsOptions | undefined;
}

/** @throws ConfigError with all that is wrong with the files that listeners name */
export async function readListeners(
  { listeners }: Pick<Config, 'listeners'>,
  certificates: Pick<Certificates, 'read'>,
): Promise<WantedListener[]> {
  const { options, problems } = await certificates.read(
    listeners.map((listener, index) => ({ ...listener, index })),
  );
  if (problems.length > 0) throw new ConfigError('TLS', problems);
  return listeners.map((config, index) => ({ config, tls: options[index] }));
}
