/** The description of the HTTP API, made of the schemas that validate its requests: /openapi.json, and to browse at /docs. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { errorCodes } from '../../protocol/error-codes.ts';

const failure = Type.Object(
  {
    code: Type.String({ description: 'stable; docs/ERRORS.md says what to do', enum: Object.keys(errorCodes) }),
    message: Type.String({ description: 'for people' }),
    retryAfterMs: Type.Optional(Type.Integer({ minimum: 0, description: 'come again after so many milliseconds' })),
  },
  { description: 'refused' },
);
const refused = { description: 'Refused', content: { 'application/json': { schema: failure } } };

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
        for (const operation of Object.values(path ?? {}))
          if (typeof operation === 'object' && 'responses' in operation)
            Object.assign(operation.responses as object, { '4XX': refused, '5XX': refused });
      return described;
    },
  });
  const uiConfig = { validatorUrl: null };
  await http.register(swaggerUi, { routePrefix: '/docs', staticCSP: DOCS_POLICY, uiConfig });
  http.get('/openapi.json', { schema: { hide: true } }, async () => http.swagger());
}
