import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { SigningConfig } from '../../config/config.ts';

/** What proves that a text was written by somebody who knows the cluster's secret. */
interface Signing {
  /** `MAC TEXT`. */
  sign(context: string, text: string): string;
  /** What was signed, and whether by the present secret; or why it is not believed. */
  open(context: string, signed: string): Opened;
}

export type Opened =
  | { readonly text: string; readonly isPresent: boolean }
  | { readonly text: undefined; readonly reason: 'unsigned' | 'forged' };

const MAC_BYTES = 32;
/** base64url of a MAC, and a space. */
const SIGNED = /^([A-Za-z0-9_-]{43}) /;

/** Two clusters with one secret do not believe each other: the key depends on the name. */
function keyOf(secret: string, cluster: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `breakwater membership\0${cluster}`, MAC_BYTES));
}

/**
 * Texts signed by HMAC-SHA-256. The context says what the text is and where it stands, so that a record is believed only
 * under its own name: a text that was signed as one thing is nothing else.
 */
export function createSigning(
  { secret, formerSecret, acceptsUnsigned }: SigningConfig,
  cluster: string,
): Signing {
  const present = keyOf(secret, cluster);
  const former = formerSecret === undefined ? undefined : keyOf(formerSecret, cluster);
  const macOf = (key: Buffer, context: string, text: string): Buffer =>
    createHmac('sha256', key).update(`${context}\0`).update(text).digest();

  return {
    sign: (context, text) => `${macOf(present, context, text).toString('base64url')} ${text}`,
    open(context, signed) {
      const [head, mac] = SIGNED.exec(signed) ?? [];
      if (head === undefined || mac === undefined)
        return acceptsUnsigned ? { text: signed, isPresent: false } : { text: undefined, reason: 'unsigned' };
      const text = signed.slice(head.length);
      const given = Buffer.from(mac, 'base64url');
      if (timingSafeEqual(given, macOf(present, context, text))) return { text, isPresent: true };
      const isFormer = former !== undefined && timingSafeEqual(given, macOf(former, context, text));
      return isFormer ? { text, isPresent: false } : { text: undefined, reason: 'forged' };
    },
  };
}

/** Whether a text carries a signature. */
export function isSigned(text: string): boolean {
  return SIGNED.test(text);
}
