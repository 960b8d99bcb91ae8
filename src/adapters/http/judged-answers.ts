/** What is answered to a message or a command: what the fold has made of it, or that nobody could tell in time. */
import type { FastifyReply } from 'fastify';
import { type TProperties, Type } from 'typebox';

const pos = Type.Integer({ description: 'position in the log' });
const duplicate = Type.Optional(Type.Literal(true, { description: 'it stood in the log before, at this position' }));
const pending = Type.Literal(true, { description: 'the same clientMsgId again asks what has become of it' });

export const judgedAnswers = (fields: TProperties) => ({
  200: Type.Object({ ...fields, pos, duplicate }, { description: 'Accepted, in the order of the log' }),
  202: Type.Object({ ...fields, pos, duplicate, pending }, { description: 'In the log; not known yet if accepted' }),
});

interface Judged {
  readonly pos: number;
  readonly duplicate: boolean;
  readonly pending?: true;
}

export function sendJudged<T extends Judged>(reply: FastifyReply, { duplicate, pending, ...answer }: T): FastifyReply {
  return reply
    .code(pending ? 202 : 200)
    .send({ ...answer, ...(duplicate && { duplicate }), ...(pending && { pending }) });
}
