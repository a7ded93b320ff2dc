import { isUtf8 } from 'node:buffer';
import { type FileHandle, open } from 'node:fs/promises';
import { BreakwaterError, whyUnreadable } from '../base/errors.ts';
import { ConfigError } from '../config/problems.ts';

/** A configuration is written by hand; a larger file is some other file. */
const MAX_BYTES = 1024 * 1024;
const NEWLINE = 10;

/** @throws BreakwaterError CONFIG_UNREADABLE; ConfigError where it is no text in UTF-8 */
export async function readConfigFile(path: string): Promise<string> {
  const bytes = await readBytes(path).catch((error: unknown) => {
    const message = `cannot read the configuration ${path}: ${whyUnreadable(error)}`;
    throw new BreakwaterError('CONFIG_UNREADABLE', message, { cause: error });
  });
  if (bytes.length > MAX_BYTES) {
    throw new BreakwaterError(
      'CONFIG_UNREADABLE',
      `${path} is larger than ${MAX_BYTES} bytes: not a configuration`,
    );
  }
  if (isUtf8(bytes)) return bytes.toString('utf8');
  const message = 'is not UTF-8; save the file in that encoding';
  throw new ConfigError(path, [{ path: '', line: badLine(bytes), message }]);
}

/** Of a file that is too large, a little more than may be. */
async function readBytes(path: string): Promise<Buffer> {
  const file = await open(path);
  try {
    return await readUpTo(file, MAX_BYTES + 1);
  } finally {
    await file.close();
  }
}

async function readUpTo(file: FileHandle, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let length = 0; length < most; ) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(64 * 1024));
    if (bytesRead === 0) break;
    chunks.push(buffer.subarray(0, bytesRead));
    length += bytesRead;
  }
  return Buffer.concat(chunks);
}

/** The first line that is not UTF-8, counted from 1. A line end is part of no other character in UTF-8. */
function badLine(bytes: Buffer): number {
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const found = bytes.indexOf(NEWLINE, start);
    const end = found < 0 ? bytes.length : found + 1;
    if (!isUtf8(bytes.subarray(start, end))) return line;
    start = end;
  }
  return line;
}

/**
 * Reads the file, and reads it again for each reload. One that has lost its content, or its end, since it was read last is
 * refused: it is being written, or the disk was full, and what it says no longer would go away under live connections.
 * @throws BreakwaterError CONFIG_UNREADABLE, CONFIG_INVALID
 */
export function followConfigFile(path: string): () => Promise<string> {
  let former: string | undefined;
  return async () => {
    const text = await readConfigFile(path);
    const loss = former === undefined ? undefined : lossOf(text, former);
    if (loss !== undefined) throw new BreakwaterError('CONFIG_INVALID', `${path} ${loss}`);
    former = text;
    return text;
  };
}

/** What a file has lost that can hardly be meant; undefined where there is nothing of the kind. */
export function lossOf(text: string, former: string): string | undefined {
  if (saysNothing(text) && !saysNothing(former))
    return 'is empty, and was not before; to go by the defaults, write {}';
  if (text !== '' && former.endsWith('\n') && !text.endsWith('\n'))
    return 'ends in the middle of a line, as a file does that is cut off; end its last line';
  return undefined;
}

/** Blank lines, comments and the marks of a YAML document say nothing. */
function saysNothing(text: string): boolean {
  return text.split('\n').every((line) => /^\s*(#.*)?$|^(---|\.\.\.)\s*$/.test(line));
}
