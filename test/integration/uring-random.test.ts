import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadUring } from '../../src/engine/uring/load.ts';
import { RingScene } from '../support/ring-scene.ts';

/** Whatever happens at sockets of a ring, in whatever order: bytes come whole and in order, and nothing is kept of what is gone. */

const SOCKETS = 5;
/** Lengths of what is said and written: small, larger than a buffer, than a copy, and than what the kernel takes at once. */
const LENGTHS = [1, 700, 3000, 20_000, 300_000];
const steps = [
  ...(['say', 'say', 'write', 'forward', 'read', 'readOne', 'hear', 'turn', 'turn'] as const),
  ...(['finish', 'resetFar', 'close', 'reset', 'freeze'] as const),
];

interface Step {
  readonly what: (typeof steps)[number];
  readonly who: number;
  readonly other: number;
  readonly length: number;
}

const step = fc.record({
  what: fc.constantFrom(...steps),
  who: fc.nat(SOCKETS - 1),
  other: fc.nat(SOCKETS - 1),
  length: fc.constantFrom(...LENGTHS),
});

/** Bytes of which each says where it stands. */
const MANY = Buffer.from(Array.from({ length: 251 * 4000 }, (_, at) => at % 251));
const bytesAt = (at: number, length: number): Buffer => MANY.subarray(at % 251, (at % 251) + length);

/** One connection: what its far end has sent, and was sent. */
class Talk {
  readonly fd: number;
  readonly far: number;
  said = 0;
  read = 0;
  /** What the far end has to hear still. */
  owed: Buffer[] = [];
  /** The far end has reset, or closed; nobody owes it anything. */
  isGone = false;
  isFinished = false;

  constructor({ fd, far }: { fd: number; far: number }) {
    this.fd = fd;
    this.far = far;
  }
}

class Play {
  private readonly ring: RingScene;
  private readonly talks: Talk[] = [];

  constructor(ring: RingScene) {
    this.ring = ring;
    ring.onFailed = (fd) => {
      ring.writer.clear(fd); // as the streams do
      expect(this.talks.find((each) => each.fd === fd)?.isGone).toBe(true);
    };
    for (let i = 0; i < SOCKETS; i++) this.talks.push(this.meet());
  }

  private meet(): Talk {
    return new Talk(this.ring.device());
  }

  do({ what, who, other, length }: Step): void {
    const talk = this.talks[who] as Talk;
    const { ring } = this;
    const { fd, far } = talk;
    switch (what) {
      case 'say':
        if (!talk.isGone && !talk.isFinished) talk.said += ring.say(far, bytesAt(talk.said, length));
        return;
      case 'write':
        ring.writer.write(fd, bytesAt(length, length), 0, length);
        return void talk.owed.push(bytesAt(length, length));
      case 'forward':
        return this.forward(talk, this.talks[other] as Talk);
      case 'read':
        while (this.readOne(talk) > 0);
        return;
      case 'readOne':
        return void this.readOne(talk);
      case 'hear':
        return void this.hear(talk);
      case 'turn':
        return this.turn();
      case 'finish':
        talk.isFinished = true;
        if (!talk.isGone) ring.finish(far);
        return;
      case 'resetFar':
        if (!talk.isGone) ring.reset(far);
        talk.isGone = true;
        return;
      case 'freeze':
        if (!ring.freezer.settle([fd])) return;
        ring.freezer.freeze(fd);
        expect(ring.freezer.thaw(fd)).toBe(0);
        return;
      default:
        this.end(talk, what);
        this.talks[who] = this.meet();
    }
  }

  private end(talk: Talk, how: 'close' | 'reset'): void {
    this.ring.writer.sendNow(talk.fd);
    this.ring.close(talk.fd, how);
    if (!talk.isGone) this.ring.libc.close(talk.far);
  }

  private readOne(talk: Talk): number {
    const { reader } = this.ring;
    const got = reader.receive(talk.fd, this.ring.table.flags[talk.fd] as number);
    if (got <= 0) return got;
    const bytes = reader.bytes.subarray(reader.start, reader.start + got);
    expect(bytes.equals(bytesAt(talk.read, got))).toBe(true);
    talk.read += got;
    return got;
  }

  private forward(talk: Talk, to: Talk): void {
    const at = talk.read;
    const got = this.readOne(talk);
    if (got <= 0) return;
    this.ring.writer.forward(to.fd, got);
    to.owed.push(bytesAt(at, got));
  }

  private turn(): void {
    this.ring.turn();
    for (const { fd } of this.talks) {
      this.ring.told(fd);
      if (this.ring.writer.waiting[fd] === 0) continue;
      if (this.ring.writer.flush(fd) < 0) this.ring.writer.clear(fd);
      else if (this.ring.writer.waiting[fd] !== 0) this.ring.watch.room(fd);
    }
  }

  private hear(talk: Talk): void {
    if (talk.isGone) return;
    const heard = this.ring.hear(talk.far) ?? Buffer.alloc(0);
    for (let at = 0; at < heard.length; ) {
      const [first] = talk.owed as [Buffer];
      const length = Math.min(first.length, heard.length - at);
      expect(heard.subarray(at, at + length).equals(first.subarray(0, length))).toBe(true);
      if (length === first.length) talk.owed.shift();
      else talk.owed[0] = first.subarray(length);
      at += length;
    }
  }

  /** All that was sent comes, and then nothing is left of anybody. */
  over(): void {
    const { ring, talks } = this;
    ring.until(() => {
      this.turn();
      for (const talk of talks) {
        while (this.readOne(talk) > 0);
        this.hear(talk);
      }
      return (
        talks.every((each) => each.isGone || (each.read === each.said && each.owed.length === 0)) || undefined
      );
    });
    for (const talk of talks) this.end(talk, 'close');
    talks.length = 0;
    for (let turn = 0; turn < 4; turn++) ring.turn();
    expect(ring.left()).toEqual({ buffers: 0, operations: 0, lingering: 0, stopped: 0, kept: 0 });
  }
}

describe.runIf(loadUring().available).each([
  ['', undefined],
  [' with very small rings', { submissions: 4, completions: 8, buffers: 4 }],
])('a ring%s, whatever happens at its sockets', (_, sizes) => {
  it('loses nothing, mixes up nothing, and keeps nothing', () => {
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const ring = new RingScene(sizes);
    const before = descriptors();
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 80 }), (each) => {
        const play = new Play(ring);
        for (const one of each) play.do(one);
        play.over();
        expect(descriptors()).toBe(before);
      }),
      { numRuns: 60, endOnFailure: true },
    );
  });
});
