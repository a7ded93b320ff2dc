import { z } from 'zod';

/** Shapes that stand in many of the values which one process hands over to another. */

export const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
export const uint32 = z.int().min(0).max(0xffff_ffff);

/** Of a field that is always there. */
export const maybe = <T extends z.ZodType>(schema: T) =>
  z.custom<z.output<T> | undefined>((value) => value === undefined || schema.safeParse(value).success);
