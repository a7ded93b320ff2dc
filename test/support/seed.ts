import fc from 'fast-check';

/** One seed for all properties of a run (`vitest.config.ts`), so that it can be given again. A setup file. */
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env.FAST_CHECK_SEED) });
