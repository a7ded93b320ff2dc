import { z } from 'zod';
import { network } from '../config/fields.ts';
import { BAN_REASON_MAX, BAN_SECONDS_MAX, BAN_VALUE_MAX, banKinds } from '../policy/admission/bans.ts';
import type { BanRequest, BanView } from './backend.ts';

/** Bans, as schemas. */

const name = z.string().min(1).max(BAN_VALUE_MAX);
const timestamp = z.string().meta({ format: 'date-time' });
const reason = z.string().max(BAN_REASON_MAX).meta({ description: 'For people; devices are not told.' });

/** One of them is there. */
const criteria = {
  clientId: name.optional().meta({ description: 'A long one as lists show it, cut.', example: 'meter-17' }),
  username: name.optional(),
  clientCn: name.optional().meta({ description: 'Common name of the verified certificate.' }),
  source: network().optional().meta({ description: 'Address or CIDR block.', example: '198.51.100.0/24' }),
};

export const banView = z.object({
  id: z.string().meta({ description: 'The same for the same device or network.' }),
  ...criteria,
  reason: reason.optional(),
  createdAt: timestamp,
  expiresAt: timestamp.optional().meta({ description: 'Absent: it holds until it is removed.' }),
  kick: z.boolean().meta({ description: 'Who was connected and matched was disconnected.' }),
}) satisfies z.ZodType<BanView>;

export const banRequest = z
  .strictObject({
    ...criteria,
    expires: z
      .int()
      .min(1)
      .max(BAN_SECONDS_MAX)
      .optional()
      .meta({ description: 'Seconds; absent: until it is removed.' }),
    reason: reason.optional(),
    kick: z.boolean().optional().meta({
      description: 'Who is connected and matches is disconnected; absent: they stay until they leave.',
    }),
  })
  .refine(
    (request) => banKinds.filter((kind) => request[kind] !== undefined).length === 1,
    `give exactly one of ${banKinds.join(', ')}`,
  )
  .meta({ oneOf: banKinds.map((kind) => ({ required: [kind] })) }) satisfies z.ZodType<BanRequest>;
