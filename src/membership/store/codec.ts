import type { z } from 'zod';
import type { SigningConfig } from '../../config/config.ts';
import { createFreshness } from './freshness.ts';
import { type Kind, type Shape, shapes } from './records.ts';
import { createSigning, isSigned } from './signing.ts';
import type { Skipped, SkipReason } from './store.ts';

/** The version of what is written. A record of another version is left alone: it belongs to another Breakwater. */
const VERSION = 1;
/** How many characters of a fault are reported. */
const DETAIL_MAX = 200;

/** Where a text was found: a key of the store and the field in it, or a channel and nothing. */
export interface Place {
  readonly key: string;
  readonly field: string;
}

/** Converts between the values of this program and the texts in the store. */
export interface Codec {
  /** @param field of the record; messages have none */
  write(kind: Kind, value: object, field?: string): string;
  /** Undefined for what cannot be used; that is reported already. */
  read<K extends Kind>(kind: K, text: string, place: Place): Shape<K> | undefined;
  /** Whether a text that was read should be written anew: it is not signed, or with a former secret. */
  isOutdated(kind: Kind, text: string, field: string): boolean;
  /** Reports a record that cannot be used for a reason that only its reader sees. */
  skip(place: Place, reason: SkipReason, detail: string): void;
}

interface CodecOptions {
  readonly cluster: string;
  /** Absent: nothing is signed, and nothing that is signed can be read. */
  readonly signing?: SigningConfig | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly onSkipped: (skipped: Skipped) => void;
}

/** These are believed under the name that they were written for only. */
const records: readonly Kind[] = ['node', 'decision', 'ban', 'proxy', 'session', 'shared'];

export function createCodec({ cluster, now, onSkipped, ...options }: CodecOptions): Codec {
  const signing = options.signing && createSigning(options.signing, cluster);
  const freshness = createFreshness(now);
  const contextOf = (kind: Kind, field: string): string =>
    records.includes(kind) ? `${kind}\0${field}` : kind;

  function skip({ key, field }: Place, reason: SkipReason, detail: string): undefined {
    onSkipped({ key, field, reason, detail: detail.slice(0, DETAIL_MAX) });
  }

  /** What was signed, if anything need be. */
  function opened(kind: Kind, text: string, place: Place): string | undefined {
    if (signing === undefined) {
      if (!isSigned(text)) return text;
      return skip(place, 'unreadable', 'it is signed, and membership.secret is not set here');
    }
    const result = signing.open(contextOf(kind, place.field), text);
    return result.text ?? skip(place, result.reason, details[result.reason]);
  }

  /** Undefined, and no error, for what is not JSON. */
  function parsed(text: string, place: Place): object | undefined {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return skip(place, 'json', 'it is not JSON'); // what JSON.parse says quotes it
    }
    const version = typeof value === 'object' && value !== null && 'v' in value ? value.v : undefined;
    if (version === VERSION) return value as object;
    const found = typeof version === 'number' ? `version ${version}` : 'no version';
    return skip(place, 'version', `it has ${found}, and this is version ${VERSION}`);
  }

  /** A signed text says when it was written. */
  function isFresh(kind: Kind, value: object, text: string, place: Place): boolean {
    if (signing === undefined || !isSigned(text)) return true;
    const at = 'at' in value && typeof value.at === 'number' ? value.at : 0;
    const problem = freshness.problem(kind, contextOf(kind, place.field), at, text);
    if (problem !== undefined) skip(place, 'replayed', problem);
    return problem === undefined;
  }

  return {
    skip,
    write(kind, value, field = '') {
      if (signing === undefined) return JSON.stringify({ v: VERSION, ...value });
      const context = contextOf(kind, field);
      return signing.sign(context, JSON.stringify({ v: VERSION, at: freshness.stamp(context), ...value }));
    },
    read(kind, text, place) {
      const json = opened(kind, text, place);
      const value = json === undefined ? undefined : parsed(json, place);
      if (value === undefined || !isFresh(kind, value, text, place)) return undefined;
      const result = shapes[kind].safeParse(value);
      return result.success
        ? (result.data as Shape<typeof kind>)
        : skip(place, 'schema', firstProblem(result.error));
    },
    isOutdated(kind, text, field) {
      if (signing === undefined) return false;
      const result = signing.open(contextOf(kind, field), text);
      return result.text !== undefined && !result.isPresent;
    },
  };
}

const details = {
  unsigned: 'it is not signed, and membership.secret is set here',
  forged: 'it is signed with another secret, or was changed, or is of another name',
};

function firstProblem({ issues }: z.ZodError): string {
  const [first] = issues;
  return first === undefined ? '' : `${first.path.join('.') || 'it'}: ${first.message}`;
}
