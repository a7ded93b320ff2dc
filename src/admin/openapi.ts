/** Makes the OpenAPI description of the admin API from the schemas that also check its requests. */

import swagger from '@fastify/swagger';
import type { FastifySchema } from 'fastify';
import { z } from 'zod';
import type { Role } from '../config/admin.ts';
import { API_PREFIX, type Api } from './api.ts';
import { leastRole } from './roles.ts';
import { named } from './schemas.ts';

type JsonSchema = Record<string, unknown>;

const REFERENCE = '#/components/schemas/';
const TARGET = 'openapi-3.0';

/** Register it before the routes that it describes. */
export async function describeApi(app: Api): Promise<void> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(named)) registry.add(schema, { id });
  const options = { target: TARGET, io: 'input', metadata: z.globalRegistry } as const;
  const toJson = (schema: z.ZodType): JsonSchema => {
    const id = registry.get(schema)?.id;
    if (id !== undefined) return { $ref: REFERENCE + id };
    if (schema instanceof z.ZodArray) return { type: 'array', items: toJson(schema.element as z.ZodType) };
    const { $schema: _, ...json } = z.toJSONSchema(schema, options);
    return schema instanceof z.ZodNull ? { ...json, type: 'null' } : json;
  };
  const schemas = Object.fromEntries(
    Object.entries(named).map(([id, schema]) => {
      const { $schema: _, ...json } = z.toJSONSchema(schema, options);
      return [id, json];
    }),
  );
  await app.register(swagger, {
    openapi: {
      openapi: '3.0.3',
      info: {
        title: 'Breakwater admin API',
        version: '1',
        description:
          'The nodes, clients, pools and proxies of a Breakwater cluster. Errors are `Failure` objects. `x-least-role` says which role each request needs: `viewer`, `operator` or `admin`.',
      },
      components: {
        schemas: schemas as never,
        securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      },
      security: [{ token: [] }],
    },
    transform: ({ schema, url, route: { method, config } }) => {
      const described = describeRoute(schema, toJson);
      const least = leastRole(String(method), url);
      return { schema: config?.open === true ? described : withRole(described, least), url };
    },
  });
  app.get(`${API_PREFIX}/openapi.json`, { schema: { hide: true } as FastifySchema }, async () =>
    app.swagger(),
  );
}

/** A route's zod schemas as JSON schemas; every route may fail with a `Failure`. */
function describeRoute(
  route: FastifySchema | undefined,
  toJson: (schema: z.ZodType) => JsonSchema,
): FastifySchema {
  const described: Record<string, unknown> = { ...route };
  for (const part of ['body', 'params', 'querystring']) {
    if (described[part] instanceof z.ZodType) described[part] = toJson(described[part]);
  }
  const answers = { ...(route?.response as Record<string, z.ZodType>), default: named.Failure };
  described.response = Object.fromEntries(
    Object.entries(answers).map(([status, schema]) => {
      const description = schema.meta()?.description ?? (status === 'default' ? 'Failed.' : 'Done.');
      return [status, { ...toJson(schema), description }];
    }),
  );
  return described;
}

function withRole(described: FastifySchema, least: Role): FastifySchema {
  const more = { description: `Needs the role \`${least}\`.`, 'x-least-role': least };
  return { ...described, ...more };
}
