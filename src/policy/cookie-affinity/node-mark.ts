import { createCipheriv, createDecipheriv, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

/**
 * A node's mark: its id, sealed, as the value of a cookie. Opaque and unforgeable without the key, and the same for the
 * same id and key, so that every proxy of a cluster makes and reads the same marks. Synthetic IV (RFC 5297's idea):
 * the MAC of the id is the IV that its encryption begins with.
 */
interface NodeMarks {
  /** Characters of base64url only, at most 107 of them for an id of 64 bytes. */
  seal(nodeId: string): string;
  /** The id; undefined for whatever was not made with this key. */
  open(mark: string): string | undefined;
}

const MAC_BYTES = 16; // a block of AES, and as much as a forger would have to guess
const KEY_BYTES = 32;
const MAX_MARK_LENGTH = 256;
/** As many as a routing table holds. */
const MAX_SEALED = 1024;

/**
 * The key of a pool's marks. All proxies of a cluster with one secret have the same.
 * @returns 64 bytes in base64: a configuration that is frozen and cloned holds no bytes
 */
export function deriveMarkKey(secret: string, cluster: string, pool: string): string {
  const context = `breakwater cookie\0${cluster}\0${pool}`;
  return Buffer.from(hkdfSync('sha256', secret, '', context, 2 * KEY_BYTES)).toString('base64');
}

/** @param key of `deriveMarkKey` */
export function createNodeMarks(key: string): NodeMarks {
  const bytesOfKey = Buffer.from(key, 'base64');
  const macKey = bytesOfKey.subarray(0, KEY_BYTES);
  const cipherKey = bytesOfKey.subarray(KEY_BYTES);
  const sealed = new Map<string, string>();

  const macOf = (id: Uint8Array): Buffer =>
    createHmac('sha256', macKey).update(id).digest().subarray(0, MAC_BYTES);

  function sealAnew(nodeId: string): string {
    const id = Buffer.from(nodeId);
    const mac = macOf(id);
    const text = createCipheriv('aes-256-ctr', cipherKey, mac).update(id);
    return Buffer.concat([mac, text]).toString('base64url');
  }

  return {
    seal(nodeId) {
      const known = sealed.get(nodeId);
      if (known !== undefined) return known;
      const mark = sealAnew(nodeId);
      if (sealed.size >= MAX_SEALED) sealed.clear();
      sealed.set(nodeId, mark);
      return mark;
    },
    open(mark) {
      if (mark.length > MAX_MARK_LENGTH) return undefined;
      const bytes = Buffer.from(mark, 'base64url');
      if (bytes.length <= MAC_BYTES || bytes.toString('base64url') !== mark) return undefined;
      const mac = bytes.subarray(0, MAC_BYTES);
      const id = createDecipheriv('aes-256-ctr', cipherKey, mac).update(bytes.subarray(MAC_BYTES));
      return timingSafeEqual(macOf(id), mac) ? id.toString() : undefined;
    },
  };
}
