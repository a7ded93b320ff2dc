import type { z } from 'zod';
import { type Kind, type Shape, shapes } from './records.ts';
import type { Skipped, SkipReason } from './store.ts';

/** The version of what is written. Whoever finds another one leaves it alone: it is another Breakwater's. */
const VERSION = 1;
/** How much is told of what is wrong with a record. */
const DETAIL_MAX = 200;

/** Where a text was found: a key of the store and the field in it, or a channel and nothing. */
export interface Place {
  readonly key: string;
  readonly field: string;
}

/** Between the values of this program and the texts in the store. */
export interface Codec {
  write(kind: Kind, value: object): string;
  /** Undefined for what cannot be used; that has been told. */
  read<K extends Kind>(kind: K, text: string, place: Place): Shape<K> | undefined;
  /** The same for what the store does not keep as JSON. */
  check<K extends Kind>(kind: K, value: unknown, place: Place): Shape<K> | undefined;
  /** Tells of what cannot be used for a reason that only its reader sees. */
  skip(place: Place, reason: SkipReason, detail: string): void;
}

export function createCodec(onSkipped: (skipped: Skipped) => void): Codec {
  function skip({ key, field }: Place, reason: SkipReason, detail: string): undefined {
    onSkipped({ key, field, reason, detail: detail.slice(0, DETAIL_MAX) });
  }

  function check<K extends Kind>(kind: K, value: unknown, place: Place): Shape<K> | undefined {
    const result = shapes[kind].safeParse(value);
    if (!result.success) return skip(place, 'schema', firstProblem(result.error));
    return result.data as Shape<K>;
  }

  return {
    skip,
    check,
    write: (_kind, value) => JSON.stringify({ v: VERSION, ...value }),
    read(kind, text, place) {
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        return skip(place, 'json', 'it is not JSON'); // what JSON.parse says quotes it
      }
      const version = typeof value === 'object' && value !== null && 'v' in value ? value.v : undefined;
      if (version !== VERSION) {
        const found = typeof version === 'number' ? `version ${version}` : 'no version';
        return skip(place, 'version', `it has ${found}, and this is version ${VERSION}`);
      }
      return check(kind, value, place);
    },
  };
}

function firstProblem({ issues }: z.ZodError): string {
  const [first] = issues;
  return first === undefined ? '' : `${first.path.join('.') || 'it'}: ${first.message}`;
}
