import { API_PREFIX, type Api } from './api.ts';
import { named } from './schemas.ts';

/** So that a page or a script offers only what its holder may do. */
export function whoamiRoutes(api: Api): void {
  api.get(
    `${API_PREFIX}/whoami`,
    {
      schema: {
        tags: ['status'],
        summary: 'Who asks, by the token: name and role.',
        response: { 200: named.Whoami },
      },
    },
    async ({ caller }) => caller,
  );
}
