import { describe, expect, it } from 'vitest';
import { loadOpenSsl } from '../../../../src/engine/linux/openssl.ts';
import { SecretPlaces } from '../../../../src/engine/linux/secret-places.ts';
import { libc } from '../../../support/tls-records.ts';

const { copy } = loadOpenSsl();
const SECRET_BYTES = 32;

/** An object of a session, with secrets at these places. */
function object(client: number, server: number, seed: number) {
  const memory = libc.pin(600);
  const secrets = [Buffer.alloc(SECRET_BYTES, seed), Buffer.alloc(SECRET_BYTES, 255 - seed)] as const;
  memory.bytes.set(secrets[0], client);
  memory.bytes.set(secrets[1], server);
  return { memory, secrets };
}

const heap = { sizeOf: () => 600, copy };

function learnFrom(places: SecretPlaces, { memory, secrets }: ReturnType<typeof object>): void {
  places.learn(memory.address, ...secrets);
}

describe('the places of traffic secrets', () => {
  it('are known when three handshakes have agreed', () => {
    const places = new SecretPlaces(libc, heap);
    for (const seed of [1, 2, 3]) {
      expect(places.areKnown).toBe(false);
      learnFrom(places, object(100, 300, seed));
    }
    expect(places).toMatchObject({ areKnown: true, client: 100, server: 300 });
  });

  it.each([
    ['two handshakes disagree', object(100, 301, 2)],
    ['one of the secrets is not there', { ...object(100, 300, 2), secrets: object(0, 100, 9).secrets }],
  ])('are never known where %s', (_why, second) => {
    const places = new SecretPlaces(libc, heap);
    learnFrom(places, object(100, 300, 1));
    learnFrom(places, second);
    for (const seed of [3, 4, 5, 6]) learnFrom(places, object(100, 300, seed));
    expect(places.areKnown).toBe(false);
  });

  it('are never known where objects are larger than any that is known', () => {
    const places = new SecretPlaces(libc, { sizeOf: () => 100_000, copy });
    for (const seed of [1, 2, 3, 4]) learnFrom(places, object(100, 300, seed));
    expect(places.areKnown).toBe(false);
  });
});
