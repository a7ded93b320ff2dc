import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifySchemaCompiler,
  FastifyServerOptions,
  FastifyTypeProvider,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { z } from 'zod';

/** Types a route's params, query and body by its zod schemas. */
export interface ZodTypes extends FastifyTypeProvider {
  validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown;
}

/** The server that the resources add their routes to. */
export type Api = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypes
>;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Served without the token: it tells nothing about the cluster. */
    open?: boolean;
    /** It is answered when nothing else is. */
    probe?: boolean;
  }
}

export const API_PREFIX = '/api/v1';

/**
 * Validates by zod. Responses are not validated: their types were checked by the compiler. An option of Fastify, which loads
 * compilers of its own where it is made without.
 */
export const zodCompilers = {
  compilersFactory: {
    buildValidator: () => validatorOf,
    buildSerializer: () => () => (body: unknown) => JSON.stringify(body),
  },
} as unknown as FastifyServerOptions['schemaController']; // its types know no schemas but those of ajv

const validatorOf: FastifySchemaCompiler<z.ZodType> =
  ({ schema }) =>
  (input) => {
    const result = schema.safeParse(input);
    return result.success ? { value: result.data } : { error: result.error };
  };
