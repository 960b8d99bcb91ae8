import fc from 'fast-check';
import t from 'tap';
import { LaneTerms, type Verdict } from '../../src/projections/lane-terms.ts';

t.test('a record counts while its term is the newest of its lane', async (t) => {
  const terms = new LaneTerms();
  terms.observeMarker({ lane: 0, term: 1 }, 10);
  terms.observeMarker({ lane: 0, term: 2 }, 20);
  terms.observeMarker({ lane: 1, term: 7 }, 15);
  t.equal(terms.judge({ lane: 0, term: 1 }, 19), 'valid');
  t.equal(terms.judge({ lane: 0, term: 1 }, 21), 'void', 'a worker that was paused and woke');
  t.equal(terms.judge({ lane: 0, term: 2 }, 21), 'valid');
  t.equal(terms.judge({ lane: 1, term: 7 }, 21), 'valid', 'each lane by its own markers');
  t.equal(terms.judge({ lane: 0, term: 1 }, 9), 'beyond retention');
  t.equal(terms.judge({ lane: 2, term: 1 }, 30), 'beyond retention', 'a lane without a marker');
});

interface Step {
  readonly lane: number;
  readonly marker: boolean;
  /** How many terms ago its writer began; markers always begin the next. */
  readonly behind: number;
}

const steps = fc.array(
  fc.record({ lane: fc.integer({ min: 0, max: 2 }), marker: fc.boolean(), behind: fc.integer({ min: 0, max: 2 }) }),
  { maxLength: 60 },
);

/** The stream that the steps make: a message each, from sequence 1 on. */
function streamOf(list: readonly Step[]) {
  const newest = new Map<number, number>();
  return list.map(({ lane, marker, behind }, i) => {
    const term = (newest.get(lane) ?? 0) + (marker ? 1 : -behind);
    if (marker) newest.set(lane, term);
    return { seq: i + 1, lane, term, marker };
  });
}

t.test('whatever the stream, the verdict is that of the newest marker before the record', async (t) => {
  fc.assert(
    fc.property(steps, fc.boolean(), (list, markersFirst) => {
      const stream = streamOf(list);
      const terms = new LaneTerms();
      // As at the start of a gateway: all markers first, then again as the tail brings them.
      if (markersFirst)
        for (const { lane, term, seq, marker } of stream) if (marker) terms.observeMarker({ lane, term }, seq);
      for (const { lane, term, seq, marker } of stream) {
        if (marker) terms.observeMarker({ lane, term }, seq);
        else if (terms.judge({ lane, term }, seq) !== naive(stream, { lane, term, seq })) return false;
      }
      return true;
    }),
  );
  t.pass('in every run');
});

t.test('what is forgotten with the retention judges nothing that is kept', async (t) => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 61 }), (list, firstSeq) => {
      const stream = streamOf(list);
      const terms = new LaneTerms();
      for (const { lane, term, seq, marker } of stream) if (marker) terms.observeMarker({ lane, term }, seq);
      terms.dropBelow(firstSeq);
      return stream
        .filter(({ seq, marker }) => seq >= firstSeq && !marker)
        .every((record) => terms.judge(record, record.seq) === naive(stream, record));
    }),
  );
  t.pass('in every run');
});

function naive(
  stream: ReturnType<typeof streamOf>,
  { lane, term, seq }: { lane: number; term: number; seq: number },
): Verdict {
  const marker = stream.filter((message) => message.marker && message.lane === lane && message.seq < seq).at(-1);
  if (!marker) return 'beyond retention';
  return marker.term === term ? 'valid' : 'void';
}
