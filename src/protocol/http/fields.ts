/**
 * Header fields as a flat list, name and value in turn, in the order and the spelling of the message: what Node's
 * `rawHeaders` is, and what its `writeHead` and undici take.
 */
export type RawFields = readonly string[];

/** Each field of a list. */
export function* eachField(fields: RawFields): Generator<readonly [name: string, value: string]> {
  for (let i = 0; i + 1 < fields.length; i += 2) yield [fields[i] as string, fields[i + 1] as string];
}

/** The values of a field, however often it is there. @param name in lower case */
export function valuesOf(fields: RawFields, name: string): string[] {
  const values: string[] = [];
  // Without a pair for each field: this is asked several times a request.
  for (let i = 0; i + 1 < fields.length; i += 2)
    if (isNamed(fields[i] as string, name)) values.push(fields[i + 1] as string);
  return values;
}

/** Is this the field of that name, which is in lower case? Looks at the length first: most are not. */
export function isNamed(field: string, name: string): boolean {
  return field.length === name.length && field.toLowerCase() === name;
}
