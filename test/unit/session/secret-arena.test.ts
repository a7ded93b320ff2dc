import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Handle, SecretArena } from '../../../src/session/secret-arena.ts';

it('gives back what was kept, whatever was erased meanwhile', () => {
  const step = fc.record({ size: fc.oneof(fc.nat(300), fc.nat(70_000)), erase: fc.option(fc.nat(5)) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const secrets = new SecretArena();
      const kept: { handle: Handle; bytes: Uint8Array }[] = [];
      steps.forEach(({ size, erase }, i) => {
        const bytes = new Uint8Array(size).fill(i + 1);
        kept.push({ handle: secrets.keep(bytes), bytes });
        const [gone] = erase === null ? [] : kept.splice(erase, 1);
        if (gone !== undefined) secrets.erase(gone.handle);
      });
      for (const { handle, bytes } of kept) expect(Buffer.compare(secrets.read(handle), bytes)).toBe(0);
    }),
    { numRuns: 50 },
  );
});

it('overwrites what is erased, and uses its place again', () => {
  const secrets = new SecretArena();
  const handle = secrets.keep(Buffer.from('secret'));
  secrets.erase(handle);
  expect(secrets.read(handle)).toHaveLength(0);
  expect(secrets.keep(Buffer.from('other'))).toBe(handle);
});
