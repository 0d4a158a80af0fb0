using VhdCore.Errors;
using VhdCore.Testing;
using VhdCore.Vhdx;
using static VhdCore.Tests.Vhdx.VhdxImages;

namespace VhdCore.Tests.Vhdx;

public class VhdxReplayOverlayTests
{
    private const int Sector = 4096;
    private const int FileSectors = 64;

    [Fact]
    public async Task Random_updates_read_as_if_they_had_been_written_one_after_the_other()
    {
        for (var seed = 0; seed < 200; seed++)
        {
            var random = new Random(seed);
            var file = Pattern(seed, FileSectors * Sector);
            var (updates, expected, last) = RandomUpdates(random, file);
            var storage = InMemory(file);
            storage.ReadsAtOnce = random.Next(2) == 0;
            await using var overlay = new VhdxReplayOverlay(storage, new VhdxLogReplay
            {
                EntryCount = 1,
                HeadSequenceNumber = 1,
                FlushedFileOffset = 0,
                LastFileOffset = last,
                Updates = updates,
            });
            Assert.Equal(expected.Length, overlay.Length);
            Assert.Equal(expected, await overlay.ReadBytesAsync(0, expected.Length, TestContext.Current.CancellationToken));
            for (var i = 0; i < 50; i++)
            {
                var offset = random.Next(expected.Length);
                var length = random.Next(1, Math.Min(3 * Sector, expected.Length - offset) + 1);
                Assert.Equal(expected[offset..(offset + length)], await overlay.ReadBytesAsync(offset, length, TestContext.Current.CancellationToken));
                using var buffer = new NativeBuffer(length);
                var moved = (int)overlay.TryRead(offset, buffer.Buffers, 0, length);
                Assert.Equal(expected[offset..(offset + moved)], buffer.Span[..moved].ToArray());
                Assert.True(moved == length || !storage.ReadsAtOnce);
                var run = overlay.Map(offset, length);
                Assert.InRange(run.Length, 1, length);
                Assert.False(run.IsHole && expected.AsSpan(offset, (int)run.Length).ContainsAnyExcept((byte)0));
            }

            Assert.Equal(file, storage.ToArray());
        }
    }

    [Fact]
    public async Task Nothing_can_be_written_and_nothing_read_behind_the_end()
    {
        await using var overlay = new VhdxReplayOverlay(InMemory(new byte[Sector]), new VhdxLogReplay
        {
            EntryCount = 1,
            HeadSequenceNumber = 1,
            FlushedFileOffset = 0,
            LastFileOffset = 2 * Sector,
            Updates = [],
        });
        using var buffer = new NativeBuffer(Sector);
        var stop = TestContext.Current.CancellationToken;
        Assert.False(overlay.Traits.CanWrite);
        Assert.Equal(BlockStatus.ReadOnly, await overlay.WriteAsync(0, buffer.Buffers, 0, Sector, cancellationToken: stop));
        Assert.Equal(BlockStatus.ReadOnly, await overlay.SetLengthAsync(0, stop));
        Assert.Equal(BlockStatus.ReadOnly, await overlay.PunchHoleAsync(0, Sector, stop));
        Assert.Equal(BlockStatus.OutOfRange, await overlay.ReadAsync(Sector + 1, buffer.Buffers, 0, Sector, stop));
        Assert.Equal(BlockStatus.OutOfRange, await overlay.ReadAsync(long.MaxValue, buffer.Buffers, 0, Sector, stop));
        Assert.Equal(0, overlay.TryRead(long.MaxValue, buffer.Buffers, 0, Sector));
        Assert.Throws<ArgumentOutOfRangeException>(() => overlay.Map(2 * Sector, 1));
    }

    private static (List<VhdxLogUpdate> Updates, byte[] Expected, long Last) RandomUpdates(Random random, byte[] file)
    {
        var updates = new List<VhdxLogUpdate>();
        var expected = file.ToList();
        var count = random.Next(1, 30);
        for (var i = 0; i < count; i++)
        {
            var target = random.Next(FileSectors + 8) * Sector;
            var length = random.Next(2) == 0 ? Sector : random.Next(5) * Sector;
            var isZero = length != Sector || random.Next(2) == 0;
            var source = random.Next(FileSectors) * Sector;
            var (leading, trailing) = ((ulong)random.NextInt64(), (uint)random.Next());
            updates.Add(new VhdxLogUpdate(target, length, isZero ? -1 : source, leading, trailing));
            expected.AddRange(new byte[Math.Max(0, target + length - expected.Count)]);
            for (var at = 0; at < length; at++)
            {
                expected[target + at] = isZero ? (byte)0
                    : at < 8 ? (byte)(leading >> (8 * at))
                    : at >= Sector - 4 ? (byte)(trailing >> (8 * (at - (Sector - 4))))
                    : file[source + at];
            }
        }

        var last = random.Next(2) == 0 ? 0 : (FileSectors + random.Next(10)) * Sector;
        expected.AddRange(new byte[Math.Max(0, last - expected.Count)]);
        return (updates, [.. expected], last);
    }
}
