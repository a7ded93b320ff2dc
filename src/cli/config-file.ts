import { readFile } from 'node:fs/promises';
import { BreakwaterError, messageOf } from '../errors.ts';

/** A configuration is written by hand; a larger file is some other file. */
const MAX_BYTES = 1024 * 1024;

/** @throws BreakwaterError CONFIG_UNREADABLE */
export async function readConfigFile(path: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new BreakwaterError('CONFIG_UNREADABLE', `cannot read the configuration: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (bytes.length <= MAX_BYTES) return bytes.toString('utf8');
  throw new BreakwaterError(
    'CONFIG_UNREADABLE',
    `${path} is larger than ${MAX_BYTES} bytes: not a configuration`,
  );
}
