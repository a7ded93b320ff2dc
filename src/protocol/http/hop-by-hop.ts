import { type RawFields, valuesOf } from './fields.ts';

/** Fields that speak of one connection only, and which a proxy takes away (RFC 9110, 7.6.1). */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** A Connection field that names one of these is wrong, and would break the message apart. */
const NEVER_NOMINATED: ReadonlySet<string> = new Set(['content-length', 'host']);

/**
 * The fields that go on to the next hop: without those that speak of this connection, those that its Connection field
 * names, and those that the caller drops.
 * @param drop asked with the name in lower case
 */
export function endToEnd(fields: RawFields, drop: (name: string) => boolean): string[] {
  const options = connectionOptions(fields);
  const nominated = options.length > 0 ? new Set(options) : undefined;
  const kept: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const field = fields[i] as string;
    const name = field.toLowerCase();
    if (HOP_BY_HOP.has(name) || drop(name)) continue;
    if (nominated?.has(name) && !NEVER_NOMINATED.has(name)) continue;
    kept.push(field, fields[i + 1] as string);
  }
  return kept;
}

/** What the Connection field lists, in lower case. */
export function connectionOptions(fields: RawFields): readonly string[] {
  return valuesOf(fields, 'connection').flatMap((value) =>
    value.split(',').map((option) => option.trim().toLowerCase()),
  );
}
