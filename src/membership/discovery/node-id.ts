/** Makes node ids out of names that discovery finds. */

import { createHash } from 'node:crypto';

const LENGTH_MAX = 64;
const HASH_LENGTH = 8;

/** The text as a node id: what an id may not hold becomes `_`; the end of a long text becomes a hash of the whole. */
export function nodeIdOf(text: string): string {
  const id = text.replace(/[^A-Za-z0-9._:@-]/g, '_');
  if (id.length <= LENGTH_MAX) return id;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, HASH_LENGTH);
  return `${id.slice(0, LENGTH_MAX - HASH_LENGTH - 1)}-${hash}`;
}
