import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { SigningConfig } from '../../config/config.ts';

/** Hides what is put into the store from whoever reads it there, and shows whether it was changed. */
export interface Sealing {
  seal(name: string, text: string): string;
  /** Undefined for whatever was not sealed under this name with this secret, or the former one. */
  open(name: string, sealed: string): string | undefined;
}

const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = 'aes-256-gcm';

/** By AES-256-GCM; the key depends on the cluster's name, and the name of what is sealed is authenticated with it. */
export function createSealing({ secret, formerSecret }: SigningConfig, cluster: string): Sealing {
  const keyOf = (from: string): Buffer =>
    Buffer.from(hkdfSync('sha256', from, '', `breakwater sealing\0${cluster}`, KEY_BYTES));
  const keys = [secret, ...(formerSecret === undefined ? [] : [formerSecret])].map(keyOf);

  function openWith(key: Buffer, name: string, bytes: Buffer): string | undefined {
    try {
      const cipher = createDecipheriv(CIPHER, key, bytes.subarray(0, IV_BYTES));
      cipher.setAAD(Buffer.from(name)).setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
      return Buffer.concat([cipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)), cipher.final()]).toString();
    } catch {
      return undefined;
    }
  }

  return {
    seal(name, text) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv(CIPHER, keys[0] as Buffer, iv).setAAD(Buffer.from(name));
      const sealed = Buffer.concat([cipher.update(text), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64');
    },
    open(name, sealed) {
      const bytes = Buffer.from(sealed, 'base64');
      if (bytes.length < IV_BYTES + TAG_BYTES) return undefined;
      for (const key of keys) {
        const text = openWith(key, name, bytes);
        if (text !== undefined) return text;
      }
      return undefined;
    },
  };
}
