import { createCipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import * as a from '../../../../src/protocol/tls-record/alerts.ts';
import { beginTls13, updateKeys } from '../../../../src/protocol/tls-record/key-schedule.ts';
import * as is from '../../../../src/protocol/tls-record/state.ts';
import { READ, RecordState, WRITE } from '../../../../src/protocol/tls-record/state.ts';
import { aeadCiphers, cipherOfSuite } from '../../../../src/protocol/tls-record/suites.ts';
import { hmac, libc, RecordEnd, type Suite, suiteName, suites } from '../../../support/tls-records.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const tls13: Suite = { version: 'TLSv1.3', cipher: 1 };
const tls12: Suite = { version: 'TLSv1.2', cipher: 1 };
const pair = (suite: Suite, options = {}) => ({
  client: new RecordEnd(suite, true, options),
  server: new RecordEnd(suite, false, options),
});

/** A record of TLS 1.3 whose content, type and padding are given as they are, sealed by Node. */
function forge(end: RecordEnd, inner: Uint8Array): Buffer {
  const nonce = Buffer.alloc(12);
  end.state.nonce(WRITE, nonce);
  const key = Buffer.from(end.state.bytes.subarray(WRITE + 48, WRITE + 64));
  const header = Buffer.from([23, 3, 3, (inner.length + 16) >> 8, (inner.length + 16) & 255]);
  const cipher = createCipheriv('aes-128-gcm', key, nonce);
  cipher.setAAD(header);
  const body = Buffer.concat([cipher.update(inner), cipher.final(), cipher.getAuthTag()]);
  end.state.advance(WRITE, inner.length);
  return Buffer.concat([header, body]);
}

const handshake = (...bytes: number[]) => Buffer.from([...bytes, a.HANDSHAKE]);
const KEY_UPDATE = [24, 0, 0, 1];

describe('the trace of RFC 8448, 3', () => {
  const clientSecret = hex('9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5');
  const serverSecret = hex('a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643');
  const payload = Buffer.from(Array.from({ length: 50 }, (_, i) => i));
  const fromClient = hex(
    '1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4',
  );
  const fromServer = hex(
    '17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d',
  );
  const clientAlert = hex('1703030013c9872760655666b74d7ff1153efd6db6d0b0e3');
  const serverAlert = hex('1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9');

  function end(isClient: boolean): RecordEnd {
    const made = new RecordEnd(tls13, isClient);
    const cipher = cipherOfSuite('TLS_AES_128_GCM_SHA256');
    if (cipher === undefined) throw new Error('no cipher');
    const established = { cipher, isClient, fragmentLimit: is.MAX_PLAINTEXT_BYTES };
    made.state.setSecret(isClient ? WRITE : READ, clientSecret, 0, 32);
    made.state.setSecret(isClient ? READ : WRITE, serverSecret, 0, 32);
    beginTls13(made.state, hmac, established, isClient ? 0 : 1); // the server has sent one ticket
    return made;
  }

  it('gives the keys and IVs of both ways', () => {
    const { bytes } = end(false).state;
    const at = (from: number, length: number) => bytes.subarray(from, from + length).toString('hex');
    expect(at(READ + 48, 16)).toBe('17422dda596ed5d9acd890e3c63f5051');
    expect(at(READ + 80, 12)).toBe('5b78923dee08579033e523d9');
    expect(at(WRITE + 48, 16)).toBe('9f02283b6c9c07efc26bb9f2ac92e356');
    expect(at(WRITE + 80, 12)).toBe('cf782b88dd83549aadf1e984');
  });

  it('gives the records of both ways, to the byte', () => {
    const client = end(true);
    const server = end(false);
    expect(client.seal(payload)).toEqual(fromClient);
    expect(server.seal(payload)).toEqual(fromServer);
    const closing = (which: RecordEnd) =>
      which.sealed((at) => which.sealer.closeNotify(which.state, which.out, at));
    expect(closing(client)).toEqual(clientAlert);
    expect(closing(server)).toEqual(serverAlert);
  });

  it('is read by the server', () => {
    const server = end(false);
    const { data, rest } = server.open(Buffer.concat([fromClient, clientAlert]));
    expect(data).toEqual(payload);
    expect(rest).toHaveLength(0);
    expect(server.state.has(is.CLOSE_READ)).toBe(true);
  });
});

it('tells the cipher of a suite, and nothing of those with CBC or CCM', () => {
  expect(cipherOfSuite('ECDHE-RSA-AES256-GCM-SHA384')?.name).toBe('AES-256-GCM');
  expect(cipherOfSuite('ECDHE-ECDSA-CHACHA20-POLY1305')?.name).toBe('ChaCha20-Poly1305');
  expect(cipherOfSuite('AES128-GCM-SHA256')?.name).toBe('AES-128-GCM');
  for (const name of [
    ...[
      'ECDHE-RSA-AES128-SHA256',
      'TLS_AES_128_CCM_SHA256',
      'ECDHE-ECDSA-AES128-CCM',
      'ECDHE-ARIA128-GCM-SHA256',
    ],
  ])
    expect(cipherOfSuite(name)).toBeUndefined();
});

describe.each(suites.map((suite) => [suiteName(suite), suite] as const))('%s', (_name, suite) => {
  it('carries data both ways, of any length, cut anywhere', () => {
    const { client, server } = pair(suite);
    for (const length of [1, 15, 16, 17, 100, 16_383, 16_384, 16_385, 50_000]) {
      const data = Buffer.alloc(length, length);
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        const records = from.seal(data);
        const step = length > 1000 ? 4999 : 1;
        const got: Buffer[] = [];
        let rest: Buffer = Buffer.alloc(0);
        for (let at = 0; at < records.length; at += step) {
          const opened = to.open(Buffer.concat([rest, records.subarray(at, at + step)]));
          got.push(opened.data);
          rest = opened.rest;
        }
        expect(rest).toHaveLength(0);
        expect(Buffer.concat(got).equals(data)).toBe(true);
      }
    }
    expect([client.state.fault, server.state.fault]).toEqual([0, 0]);
  });

  it('refuses a record in which any one bit was changed, and what comes behind it', () => {
    const source = pair(suite).client;
    const record = source.seal(Buffer.from('meter 12: 230.4 V'));
    const tail = Buffer.alloc(20_000, source.seal(Buffer.from('next')));
    for (let bit = 0; bit < 8 * record.length; bit++) {
      const server = new RecordEnd(suite, false, undefined, 21_000);
      const changed = Buffer.from(record);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      // A length that grew waits for bytes, and has them with enough of what follows.
      const { data } = server.open(Buffer.concat([changed, tail]));
      expect(data, `bit ${bit}`).toHaveLength(0);
      const allowed =
        bit >= 40
          ? [a.BAD_RECORD_MAC]
          : [a.BAD_RECORD_MAC, a.UNEXPECTED_MESSAGE, a.PROTOCOL_VERSION, a.RECORD_OVERFLOW];
      expect(allowed, `bit ${bit}`).toContain(server.state.fault);
    }
  });

  it('refuses a record that comes again, or too early', () => {
    const { client, server } = pair(suite);
    const [one, two] = [client.seal(Buffer.from('one')), client.seal(Buffer.from('two'))];
    expect(server.open(one).data.toString()).toBe('one');
    expect(server.open(one).data).toHaveLength(0);
    expect(server.state.fault).toBe(a.BAD_RECORD_MAC);
    const later = pair(suite).server;
    expect(later.open(two).data).toHaveLength(0);
    expect(later.state.fault).toBe(a.BAD_RECORD_MAC);
  });

  it('ends by close_notify, and hears nothing behind it', () => {
    const { client, server } = pair(suite);
    const data = client.seal(Buffer.from('last'));
    const end = client.sealed((at) => client.sealer.closeNotify(client.state, client.out, at));
    const after = client.seal(Buffer.from('more'));
    expect(server.open(Buffer.concat([data, end, after])).data.toString()).toBe('last');
    expect(server.state.has(is.CLOSE_READ)).toBe(true);
    expect(server.state.fault).toBe(0);
    expect(client.open(server.seal(Buffer.from('answer'))).data.toString()).toBe('answer'); // its own way goes on
  });

  it('ends by a fatal alert, which is not answered', () => {
    const { client, server } = pair(suite);
    const alert = client.sealed((at) => client.sealer.alert(client.state, a.FATAL, 40, client.out, at));
    server.open(alert);
    expect(server.state.fault).toBe(is.PEER_ALERT);
  });

  it('cuts data into records of the length that the peer has asked for, and takes no longer ones', () => {
    const { client, server } = pair(suite, { fragmentLimit: 512 });
    const records = client.seal(Buffer.alloc(1500, 7));
    let count = 0;
    for (let at = 0; at < records.length; at += 5 + records.readUInt16BE(at + 3)) count++;
    expect(count).toBe(3);
    expect(server.open(records).data).toEqual(Buffer.alloc(1500, 7));
    const wide = new RecordEnd(suite, true);
    const { server: narrow } = pair(suite, { fragmentLimit: 512 });
    expect(narrow.open(wide.seal(Buffer.alloc(513))).data).toHaveLength(0);
    expect(narrow.state.fault).toBe(a.RECORD_OVERFLOW);
  });

  it('refuses records that are announced too long, and those too short for their tag', () => {
    const most = suite.version === 'TLSv1.3' ? 16_384 + 256 : 16_384 + 2048;
    const announced = (length: number) => Buffer.from([23, 3, 3, length >> 8, length & 255]);
    const long = pair(suite).server;
    long.open(announced(most + 1));
    expect(long.state.fault).toBe(a.RECORD_OVERFLOW);
    const longest = pair(suite).server;
    longest.open(announced(most));
    expect(longest.state.fault).toBe(0);
    for (const length of [0, 1, 15, 16]) {
      const { server } = pair(suite);
      server.open(Buffer.concat([announced(length), Buffer.alloc(length)]));
      expect(server.state.fault).toBe(a.BAD_RECORD_MAC);
    }
  });

  it('keeps no key when it is wiped', () => {
    const { client } = pair(suite);
    client.seal(Buffer.from('x'));
    client.state.wipe();
    expect(client.state.bytes.every((byte) => byte === 0)).toBe(true);
  });
});

describe('TLS 1.3', () => {
  it('takes padding off, and refuses a record of nothing else', () => {
    const { client, server } = pair(tls13);
    const padded = forge(client, Buffer.concat([Buffer.from('data'), Buffer.from([23]), Buffer.alloc(300)]));
    expect(server.open(padded).data.toString()).toBe('data');
    const full = forge(client, Buffer.concat([Buffer.from('d'), Buffer.from([23]), Buffer.alloc(16_383)]));
    expect(server.open(full).data.toString()).toBe('d');
    server.open(forge(client, Buffer.alloc(30)));
    expect(server.state.fault).toBe(a.UNEXPECTED_MESSAGE);
    const over = pair(tls13);
    over.server.open(
      forge(over.client, Buffer.concat([Buffer.from('d'), Buffer.from([23]), Buffer.alloc(16_384)])),
    );
    expect(over.server.state.fault).toBe(a.RECORD_OVERFLOW);
  });

  it('refuses records that are not protected, change_cipher_spec too', () => {
    for (const type of [20, 21, 22, 24, 0, 255]) {
      const { server } = pair(tls13);
      server.open(Buffer.from([type, 3, 3, 0, 1, 1]));
      expect(server.state.fault).toBe(a.UNEXPECTED_MESSAGE);
    }
  });

  it.each(
    aeadCiphers.map(({ name, number }) => [name, number] as const),
  )('changes keys both ways with %s, as often as is asked', (_name, cipher) => {
    const suite: Suite = { version: 'TLSv1.3', cipher };
    const { client, server } = pair(suite);
    for (let round = 0; round < 5; round++) {
      client.state.set(is.UPDATE_OWED);
      const before = Buffer.from(server.state.bytes);
      expect(server.open(client.seal(Buffer.from(`up ${round}`))).data.toString()).toBe(`up ${round}`);
      expect(server.state.bytes.subarray(READ, WRITE)).not.toEqual(before.subarray(READ, WRITE));
      expect(client.open(server.seal(Buffer.from(`down ${round}`))).data.toString()).toBe(`down ${round}`);
    }
  });

  it('answers a KeyUpdate that asks for one, once for several, and none that does not', () => {
    const { client, server } = pair(tls13);
    server.open(forge(client, handshake(...KEY_UPDATE, 0)));
    expect(server.sealer.owes(server.state)).toBe(false);
    const asking = pair(tls13);
    for (let i = 0; i < 2; i++) {
      asking.server.open(forge(asking.client, handshake(...KEY_UPDATE, 1)));
      updateKeys(asking.client.state, hmac, WRITE);
    }
    expect(asking.server.state.fault).toBe(0);
    const answer = asking.server.sealed((at) =>
      asking.server.sealer.owed(asking.server.state, asking.server.out, at),
    );
    expect(answer).toHaveLength(5 + 5 + 1 + 16);
    expect(asking.server.sealer.owes(asking.server.state)).toBe(false);
    asking.client.open(answer);
    expect(asking.client.sealer.owes(asking.client.state)).toBe(false);
  });

  it('refuses a KeyUpdate that is none', () => {
    const faults = (...inner: number[]) => {
      const { client, server } = pair(tls13);
      server.open(forge(client, handshake(...inner)));
      return server.state.fault;
    };
    expect(faults(...KEY_UPDATE, 2)).toBe(a.ILLEGAL_PARAMETER);
    expect(faults(24, 0, 0, 2, 0, 0)).toBe(a.DECODE_ERROR);
    expect(faults(...KEY_UPDATE, 0, ...KEY_UPDATE, 0)).toBe(a.UNEXPECTED_MESSAGE); // not at the end of its record
    expect(faults()).toBe(a.UNEXPECTED_MESSAGE); // an empty fragment
    expect(faults(4, 0, 0, 0)).toBe(a.UNEXPECTED_MESSAGE); // a ticket of a client
    expect(faults(1, 0, 0, 0)).toBe(a.UNEXPECTED_MESSAGE); // a ClientHello
    expect(faults(11, 0, 0, 0)).toBe(a.UNEXPECTED_MESSAGE); // a certificate that nobody has asked for
  });

  it('takes a KeyUpdate that comes in pieces, and no data between them', () => {
    const { client, server } = pair(tls13);
    for (const byte of KEY_UPDATE) server.open(forge(client, handshake(byte)));
    server.open(forge(client, handshake(1)));
    expect(server.state.fault).toBe(0);
    expect(server.sealer.owes(server.state)).toBe(true);
    const broken = pair(tls13);
    broken.server.open(forge(broken.client, handshake(24, 0)));
    broken.server.open(broken.client.seal(Buffer.from('data')));
    expect(broken.server.state.fault).toBe(a.UNEXPECTED_MESSAGE);
  });

  it('ignores tickets on links to nodes, in any pieces, and refuses to show a certificate later', () => {
    const { client, server } = pair(tls13);
    const ticket = Buffer.from([4, 0, 0x10, 0, ...Buffer.alloc(4096, 9)]);
    for (let at = 0; at < ticket.length; at += 1000)
      client.open(forge(server, Buffer.concat([ticket.subarray(at, at + 1000), Buffer.from([a.HANDSHAKE])])));
    client.open(forge(server, Buffer.concat([ticket, ticket, Buffer.from([a.HANDSHAKE])])));
    expect(client.state.fault).toBe(0);
    expect(client.open(server.seal(Buffer.from('data'))).data.toString()).toBe('data');
    client.open(forge(server, handshake(4, 255, 255, 255)));
    expect(client.state.fault).toBe(a.DECODE_ERROR);
    const asked = pair(tls13);
    asked.client.open(forge(asked.server, handshake(13, 0, 0, 0)));
    expect(asked.client.state.fault).toBe(a.UNEXPECTED_MESSAGE);
  });

  it('ignores user_canceled, and takes any other alert as the end, whatever its level', () => {
    const { client, server } = pair(tls13);
    server.open(forge(client, Buffer.from([a.WARNING, a.USER_CANCELED, a.ALERT])));
    expect(server.state.fault).toBe(0);
    server.open(forge(client, Buffer.from([a.WARNING, 42, a.ALERT])));
    expect(server.state.fault).toBe(is.PEER_ALERT);
    const split = pair(tls13);
    split.server.open(forge(split.client, Buffer.from([a.FATAL, a.ALERT])));
    expect(split.server.state.fault).toBe(a.DECODE_ERROR);
  });

  it('changes its key, and asks the peer for another, before either has sealed 2^38 bytes; ChaCha20 needs none', () => {
    const worn = (end: RecordEnd, direction: typeof READ | typeof WRITE) =>
      end.state.bytes.writeUInt32BE(4, direction + 100); // 4 * 2^32 blocks of 16 bytes
    const { client, server } = pair(tls13);
    worn(server, WRITE);
    const before = Buffer.from(server.state.bytes);
    expect(client.open(server.seal(Buffer.from('new key'))).data.toString()).toBe('new key');
    expect(server.state.bytes.subarray(WRITE)).not.toEqual(before.subarray(WRITE));
    worn(client, READ);
    expect(client.open(server.seal(Buffer.from('old key'))).data.toString()).toBe('old key');
    expect(client.sealer.owes(client.state)).toBe(true);
    server.open(client.sealed((at) => client.sealer.owed(client.state, client.out, at)));
    expect(server.sealer.owes(server.state)).toBe(true); // it was asked
    expect(client.open(server.seal(Buffer.from('fresh'))).data.toString()).toBe('fresh');
    expect(client.state.has(is.UPDATE_ASKED)).toBe(false);
    expect(client.state.isWorn(READ)).toBe(false);
    const chacha = new RecordEnd({ version: 'TLSv1.3', cipher: 3 }, true);
    worn(chacha, WRITE);
    expect(chacha.state.isWorn(WRITE)).toBe(false);
  });
});

describe('TLS 1.2', () => {
  /** Record 1 of the client, behind its Finished: a handshake message. */
  function message(end: RecordEnd, ...bytes: number[]): Buffer {
    const nonce = Buffer.alloc(12);
    const sequence = Buffer.alloc(8);
    end.state.salt(WRITE, nonce);
    end.state.sequence(WRITE, sequence, 0);
    sequence.copy(nonce, 4);
    const cipher = createCipheriv('aes-128-gcm', end.state.bytes.subarray(WRITE + 48, WRITE + 64), nonce);
    cipher.setAAD(Buffer.concat([sequence, Buffer.from([22, 3, 3, 0, bytes.length])]));
    const body = [sequence, cipher.update(Buffer.from(bytes)), cipher.final(), cipher.getAuthTag()];
    end.state.advance(WRITE, bytes.length);
    return Buffer.concat([Buffer.from([22, 3, 3, 0, 24 + bytes.length]), ...body]);
  }

  it('refuses to shake hands again, and goes on', () => {
    const { client, server } = pair(tls12);
    server.open(message(client, 1, 0, 0, 2, 9, 9));
    expect(server.state.fault).toBe(0);
    const answer = server.sealed((at) => server.sealer.owed(server.state, server.out, at));
    expect(client.open(answer).data).toHaveLength(0);
    expect(client.state.fault).toBe(0); // no_renegotiation is a warning
    expect(server.open(client.seal(Buffer.from('data'))).data.toString()).toBe('data');
    const asked = pair(tls12);
    asked.client.open(message(asked.server, 0, 0, 0, 0));
    expect(asked.client.sealer.owes(asked.client.state)).toBe(true);
    const odd = pair(tls12);
    odd.server.open(message(odd.client, 20, 0, 0, 0));
    expect(odd.server.state.fault).toBe(a.UNEXPECTED_MESSAGE);
  });

  it('refuses another version and change_cipher_spec', () => {
    const { server } = pair(tls12);
    server.open(Buffer.from([23, 3, 1, 0, 24]));
    expect(server.state.fault).toBe(a.PROTOCOL_VERSION);
  });

  it('ends before its numbers are used up, since it cannot change its key', () => {
    const { client } = pair(tls12);
    client.state.bytes[WRITE + 92] = 1;
    expect(client.seal(Buffer.from('x'))).toHaveLength(0);
    expect(client.state.fault).toBe(a.INTERNAL_ERROR);
  });
});

it('ends where records without data come in a row without end', () => {
  for (const suite of [tls12, tls13]) {
    const { client, server } = pair(suite);
    for (let i = 0; i < 32; i++) server.open(forgeEmpty(client, suite));
    expect(server.state.fault).toBe(0);
    server.open(forgeEmpty(client, suite));
    expect(server.state.fault).toBe(a.UNEXPECTED_MESSAGE);
  }
});

/** A record of data without a byte. */
function forgeEmpty(end: RecordEnd, suite: Suite): Buffer {
  if (suite.version === 'TLSv1.3') return forge(end, Buffer.from([23]));
  const nonce = Buffer.alloc(12);
  const sequence = Buffer.alloc(8);
  end.state.salt(WRITE, nonce);
  end.state.sequence(WRITE, sequence, 0);
  sequence.copy(nonce, 4);
  const cipher = createCipheriv('aes-128-gcm', end.state.bytes.subarray(WRITE + 48, WRITE + 64), nonce);
  cipher.setAAD(Buffer.concat([sequence, Buffer.from([23, 3, 3, 0, 0])]));
  cipher.final();
  end.state.advance(WRITE, 0);
  return Buffer.concat([Buffer.from([23, 3, 3, 0, 24]), sequence, cipher.getAuthTag()]);
}

it('counts on beyond 2^32 records', () => {
  const memory = libc.pin(is.STATE_BYTES);
  const state = new RecordState().use(memory, 0);
  memory.bytes.fill(0xff, WRITE + 96, WRITE + 100);
  state.advance(WRITE, 0);
  expect(memory.bytes.subarray(WRITE + 92, WRITE + 100).toString('hex')).toBe('0000000100000000');
});
