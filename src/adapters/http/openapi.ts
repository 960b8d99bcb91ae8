/** The description of the HTTP API, made of the schemas that validate its requests: /openapi.json, and to browse at /docs. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { errorCodes } from '../../protocol/error-codes.ts';

/** @param isMeant by the status of a code */
function answerOf(description: string, isMeant: (status: number) => boolean) {
  const codes = Object.entries(errorCodes).flatMap(([code, { status }]) => (isMeant(status) ? code : []));
  const schema = Type.Object({
    code: Type.String({ description: 'stable; docs/ERRORS.md says what to do', enum: codes }),
    message: Type.String({ description: 'for people' }),
    retryAfterMs: Type.Optional(Type.Integer({ minimum: 0, description: 'come again after so many milliseconds' })),
  });
  return { description, content: { 'application/json': { schema } } };
}

const unreadable = answerOf(
  'The request as it is can never be accepted. `message` names the field that is missing, wrong, too long or unknown',
  (status) => status === 400,
);
const refusals = {
  '4XX': answerOf('Refused, and nothing was changed: `code` says why', (status) => status > 400 && status < 500),
  '5XX': answerOf('Not done now, or not known to be: the same request may be sent again', (status) => status >= 500),
};

/** Of a path in the description. */
interface Operation {
  readonly responses: Record<string, unknown>;
  readonly parameters?: readonly unknown[];
}

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512"><rect width="512" height="512" rx="116" fill="#433fb5"/>
<path fill="#fff" d="M404 176c-20-8-38-10-52-8-22-34-62-48-100-38-46 12-70 50-72 96l-2 40c-2 44-32 78-78 98 40 14 88 16 128-2l-14
46h40l22-52c66-12 108-62 112-128 0-14 4-26 16-52Z"/></svg>`;

/** The page runs what this gateway serves and asks this gateway alone: who types a key into it hands it to nobody else. */
const DOCS_POLICY = [
  "default-src 'none'",
  ...["script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'"],
  ...["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
].join('; ');

/** Before the routes that it is to describe. */
export async function describeApi(http: FastifyInstance): Promise<void> {
  await http.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Rookery', description: 'HTTP beside the WebSocket (docs/PROTOCOL.md).', version: '1' },
      components: {
        securitySchemes: {
          apiKey: { type: 'http', scheme: 'bearer', description: "a backend's API key, with one of the scopes named" },
          userToken: { type: 'http', scheme: 'bearer', description: "a user's own token, for that user alone" },
        },
      },
    },
    transformObject: (document) => {
      if (!('openapiObject' in document)) return document.swaggerObject;
      const described = document.openapiObject;
      for (const path of Object.values(described.paths ?? {}))
        for (const [method, operation] of Object.entries(path ?? {}))
          if (typeof operation === 'object' && 'responses' in operation)
            describeRefusals(method, operation as Operation);
      return described;
    },
  });
  // Without its bar, which has a logo of its own, and a field for the address of any other description.
  const uiConfig = { validatorUrl: null, layout: 'BaseLayout' };
  const icon = { filename: 'icon.svg', rel: 'icon', sizes: 'any', type: 'image/svg+xml', content: ICON };
  const theme = { title: 'Rookery: HTTP', favicon: [icon] };
  await http.register(swaggerUi, { routePrefix: '/docs', staticCSP: DOCS_POLICY, uiConfig, theme });
  http.get('/openapi.json', { schema: { hide: true } }, async () => http.swagger());
}

function describeRefusals(method: string, { responses, parameters }: Operation): void {
  if (parameters || method !== 'get') responses['400'] = unreadable;
  Object.assign(responses, refusals);
}
