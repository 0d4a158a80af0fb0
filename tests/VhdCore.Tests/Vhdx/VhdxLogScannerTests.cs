using VhdCore.Testing.Independent;
using VhdCore.Vhdx;
using static VhdCore.Tests.Vhdx.VhdxImages;

namespace VhdCore.Tests.Vhdx;

/// <summary>One pass over the ring must find what the specification's steps find.</summary>
public class VhdxLogScannerTests
{
    private const int Sector = 4096;

    private static readonly byte[] Session = PlainVhdxBytes.Identifier("5e551000-0000-4000-8000-000000000001");
    private static readonly byte[] Earlier = PlainVhdxBytes.Identifier("5e551000-0000-4000-8000-000000000000");

    [Fact]
    public async Task Random_rings_have_the_same_active_sequence_as_by_the_specifications_steps()
    {
        var found = 0;
        for (var seed = 0; seed < 2000; seed++)
        {
            var log = RandomRing(new Random(seed));
            var expected = PlainVhdxLog.ActiveSequence(log, Session);
            var actual = await new VhdxLogScanner(InMemory(log), 0, log.Length, new Guid(Session)).FindActiveSequenceAsync(TestContext.Current.CancellationToken);

            // Two sequences that end with the same number, which no writer makes, are told apart by nothing but the order of the search.
            var isTie = expected.Count > 0 && actual.Count > 0 && expected[^1].Sequence == actual[^1].SequenceNumber && expected[^1].At != actual[^1].LogPosition;
            Assert.True(
                isTie || expected.Select(entry => (entry.At, entry.Sequence)).SequenceEqual(actual.Select(entry => (entry.LogPosition, entry.SequenceNumber))),
                $"seed {seed}: {string.Join(' ', expected.Select(entry => entry.At))} against {string.Join(' ', actual.Select(entry => entry.LogPosition))}");
            found += expected.Count > 0 ? 1 : 0;
        }

        Assert.InRange(found, 600, 1950); // both outcomes were seen often enough
    }

    [Fact]
    public async Task A_ring_full_of_entries_that_claim_all_of_it_is_looked_at_once()
    {
        // Each sector begins an entry whose length is the whole ring. By trying each from each place this would sum 64 GiB.
        var log = new byte[16 * MiB];
        for (var at = 0; at < log.Length; at += Sector)
        {
            PlainWriting.Text(log, at, "loge");
            PlainVhdxBytes.Number(log, at + 8, (ulong)log.Length, 4);
            PlainVhdxBytes.Number(log, at + 16, 1, 8);
            Session.CopyTo(log, at + 32);
        }

        var scanner = new VhdxLogScanner(InMemory(log), 0, log.Length, new Guid(Session));
        Assert.Empty(await scanner.FindActiveSequenceAsync(TestContext.Current.CancellationToken));
    }

    private static byte[] RandomRing(Random random)
    {
        var log = new byte[random.Next(1, 24) * Sector];
        var rounds = random.Next(1, 4);
        for (var round = 0; round < rounds; round++)
        {
            var writer = new PlainVhdxLogWriter(log, 0, log.Length, random.Next(4) == 0 ? Earlier : Session)
            {
                Head = random.Next(log.Length / Sector) * Sector,
                Sequence = (ulong)random.NextInt64(1, random.Next(2) == 0 ? 20 : long.MaxValue),
            };
            var starts = new List<long>();
            var room = log.Length / Sector;
            var entries = random.Next(1, 10);
            for (var i = 0; i < entries; i++)
            {
                var updates = Enumerable.Range(0, random.Next(4)).Select(_ => random.Next(3) == 0
                    ? (Offset: 3L * MiB, Content: (byte[]?)null, ZeroLength: 4096L)
                    : (Offset: 3L * MiB, Content: Pattern(random.Next(), Sector), ZeroLength: 0)).ToArray();
                writer.Padding = random.Next(8) == 0 ? random.Next(3) : 0;
                room -= 1 + updates.Count(update => update.Content is not null) + writer.Padding;
                if (room < 0)
                {
                    break;
                }

                if (random.Next(6) == 0)
                {
                    writer.Sequence += (ulong)random.Next(3);
                }

                writer.Tail = random.Next(8) == 0 ? random.Next(log.Length / Sector) * Sector
                    : starts.Count > 0 ? starts[random.Next(starts.Count)] : null;
                starts.Add(writer.Add(updates));
            }
        }

        if (random.Next(3) == 0)
        {
            log[random.Next(log.Length)] ^= (byte)(1 << random.Next(8));
        }

        return log;
    }
}
