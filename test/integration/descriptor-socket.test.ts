import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { descriptorPair, openDescriptorSocket } from '../../src/engine/linux/descriptor-socket.ts';

const isLinux = process.platform === 'linux';

function pair() {
  const { ours, theirs } = descriptorPair();
  return [openDescriptorSocket(ours), openDescriptorSocket(theirs)] as const;
}

function opened(count: number): number[] {
  return Array.from({ length: count }, () => openSync('/proc/self/status', 'r'));
}

test.runIf(isLinux)('bytes and descriptors arrive together, and in order', async () => {
  const [a, b] = pair();
  const descriptors = opened(3);
  void a.send({ bytes: Buffer.from('first'), descriptors });
  const parcel = await b.receive();
  expect(Buffer.from(parcel?.bytes ?? []).toString()).toBe('first');
  expect(parcel?.descriptors).toHaveLength(3);
  for (const [i, fd] of (parcel?.descriptors ?? []).entries()) {
    expect(descriptors).not.toContain(fd);
    expect(fstatSync(fd).ino).toBe(fstatSync(descriptors[i] as number).ino);
    expect(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')).toMatch(/flags:\s+0?2\d*/); // close on exec
  }
  for (const fd of [...descriptors, ...(parcel?.descriptors ?? [])]) closeSync(fd);
  await b.send({ bytes: new Uint8Array(0), descriptors: [] });
  expect(await a.receive()).toEqual({ bytes: Buffer.alloc(0), descriptors: [] });
  a.close();
  b.close();
});

test.runIf(isLinux)('more descriptors and bytes than the kernel takes at once', async () => {
  const [a, b] = pair();
  const descriptors = opened(600);
  const bytes = Buffer.alloc(3_000_000, 'abcdefg');
  const [, parcel] = await Promise.all([a.send({ bytes, descriptors }), b.receive()]);
  expect(parcel?.descriptors).toHaveLength(600);
  expect(bytes.equals(parcel?.bytes ?? Buffer.alloc(0))).toBe(true);
  for (const fd of [...descriptors, ...(parcel?.descriptors ?? [])]) closeSync(fd);
  a.close();
  b.close();
});

test.runIf(isLinux)('the end of one is told to the other, in the middle of a wait too', async () => {
  const [a, b] = pair();
  const waiting = b.receive();
  const own = a.receive();
  a.close();
  expect(await waiting).toBeUndefined();
  expect(await own).toBeUndefined();
  await expect(b.send({ bytes: Buffer.from('x'), descriptors: [] })).rejects.toThrow('gone');
  b.close();
  expect(await b.receive()).toBeUndefined();
});

test.runIf(isLinux)('the pair has no name that another process could connect to', () => {
  const before = readFileSync('/proc/net/unix', 'utf8');
  const [a, b] = pair();
  const names = (text: string) =>
    text
      .split('\n')
      .map((line) => line.trim().split(/\s+/)[7])
      .filter(Boolean);
  expect(names(readFileSync('/proc/net/unix', 'utf8')).filter((n) => !names(before).includes(n))).toEqual([]);
  a.close();
  b.close();
});
