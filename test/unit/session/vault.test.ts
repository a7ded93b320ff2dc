import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Handle, Vault } from '../../../src/session/vault.ts';

it('gives back what was kept, whatever was erased meanwhile', () => {
  const step = fc.record({ size: fc.oneof(fc.nat(300), fc.nat(70_000)), erase: fc.option(fc.nat(5)) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const vault = new Vault();
      const kept: { handle: Handle; bytes: Uint8Array }[] = [];
      steps.forEach(({ size, erase }, i) => {
        const bytes = new Uint8Array(size).fill(i + 1);
        kept.push({ handle: vault.keep(bytes), bytes });
        const [gone] = erase === null ? [] : kept.splice(erase, 1);
        if (gone !== undefined) vault.erase(gone.handle);
      });
      for (const { handle, bytes } of kept) expect(Buffer.compare(vault.read(handle), bytes)).toBe(0);
    }),
    { numRuns: 50 },
  );
});

it('overwrites what is erased, and uses its place again', () => {
  const vault = new Vault();
  const handle = vault.keep(Buffer.from('secret'));
  vault.erase(handle);
  expect(vault.read(handle)).toHaveLength(0);
  expect(vault.keep(Buffer.from('other'))).toBe(handle);
});
