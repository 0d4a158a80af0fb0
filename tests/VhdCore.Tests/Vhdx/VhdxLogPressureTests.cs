using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Faults;
using VhdCore.Testing.Recording;

namespace VhdCore.Tests.Vhdx;

/// <summary>The smallest log: entries at every place of its ring, and more changes than it holds.</summary>
public class VhdxLogPressureTests
{
    private const int MiB = 1 << 20;
    private const int LogOffset = MiB;
    private const int BatOffset = 3 * MiB;
    private const int Page = 4096;
    private const int EntriesPerPage = 512;

    [Fact]
    public async Task An_entry_may_begin_at_every_place_of_the_ring_and_is_replayed_from_there()
    {
        var memory = new MemoryStorageResolver();
        await VhdxFiles.CreateAsync(memory, "a.vhdx", new VhdxFile { Size = 3L * EntriesPerPage * MiB });
        var resolver = new RecordingResolver(memory);
        await using var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx");
        var begun = new HashSet<long>();
        var wrapped = 0;
        var content = new byte[3];
        var random = new Random(1);
        for (var round = 0; begun.Count < MiB / Page; round++)
        {
            Assert.True(round < 3000, $"only {begun.Count} places were begun at");

            // One to three pages of the BAT, so that the ring is gone round out of step.
            var pageCount = random.Next(1, 4);
            for (var page = 0; page < pageCount; page++)
            {
                var block = (page * EntriesPerPage) + 7L;
                content[page] = content[page] == 0 ? (byte)(round | 1) : (byte)0;
                Assert.Equal(BlockStatus.Ok, content[page] != 0 ? await device.WriteBytesAsync(block * MiB, [content[page]]) : await device.TrimAsync(block * MiB, MiB));
                Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync((block + 1) * MiB, [(byte)(round | 1)]));
            }

            resolver.Clear();
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            var writes = resolver.Operations.Where(IsLog).ToList();
            var entry = writes.Count > 1 && writes[^1].Offset == LogOffset ? writes[^2] : writes[^1];
            wrapped += entry == writes[^1] ? 0 : 1;
            if (begun.Add((entry.Offset - LogOffset) / Page))
            {
                await CheckReplayAsync(memory, content[..pageCount], (byte)(round | 1));
            }
        }

        Assert.True(wrapped > 3);
    }

    [Fact]
    public async Task More_bits_than_the_log_holds_arrive_when_writes_under_way_together_set_them()
    {
        const int Blocks = 700; // each with a page of bits of its own: more than twice the ring
        const long Stride = 16 * MiB;
        var memory = new MemoryStorageResolver();
        var file = new VhdxFile { Size = Blocks * Stride };
        await VhdxFiles.CreateAsync(memory, "parent.vhdx", file);
        await VhdxFiles.CreateAsync(memory, "a.vhdx", file with { Kind = ImageKind.Differencing, Parent = "parent.vhdx" });
        var recording = new RecordingResolver(memory);
        await using (var device = await VhdxFiles.OpenAsync(recording, "a.vhdx", "parent.vhdx"))
        {
            for (var block = 0; block < Blocks; block++)
            {
                Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(block * Stride, Sector(1)));
            }

            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            var go = new TaskCompletionSource();
            recording.Hold = go.Task;
            var writes = Enumerable.Range(0, Blocks).Select(block => device.WriteBytesAsync((block * Stride) + 4096, Sector(2)).AsTask()).ToArray();
            go.SetResult();
            Assert.All(await Task.WhenAll(writes), status => Assert.Equal(BlockStatus.Ok, status));
            recording.Clear();
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            Assert.True(recording.Operations.Count(IsLog) >= Blocks / 85, "the writes were not under way together");
            memory.Copy("a.vhdx", "killed.vhdx");
        }

        foreach (var leaf in new[] { "killed.vhdx", "a.vhdx" })
        {
            using var chain = await VhdxFiles.OpenPlainlyAsync(memory, leaf, "parent.vhdx");
            for (var block = 0; block < Blocks; block++)
            {
                Assert.Equal(Sector(1), chain.Read(block * Stride, 512));
                Assert.Equal(Sector(2), chain.Read((block * Stride) + 4096, 512));
                Assert.Equal(0, chain.Read((block * Stride) + 512, 1)[0]);
            }
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 16)]
    [InlineData(4, 1)]
    public async Task Scattered_changes_of_many_times_the_ring_are_committed_as_they_come(int logLength, int writers)
    {
        const long Stride = 512 * MiB; // a page of the BAT each
        const int Count = 1200;
        var memory = new MemoryStorageResolver();
        await VhdxFiles.CreateAsync(memory, "a.vhdx", new VhdxFile { Size = Count * Stride, LogLength = (uint)logLength * MiB });
        await using (var device = await VhdxFiles.OpenAsync(memory, "a.vhdx"))
        {
            await Parallel.ForEachAsync(
                Enumerable.Range(0, Count),
                new ParallelOptions { MaxDegreeOfParallelism = writers },
                async (i, token) => Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(i * Stride, [(byte)(i | 1)], cancellationToken: token)));
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            memory.Copy("a.vhdx", "killed.vhdx");
        }

        foreach (var name in new[] { "killed.vhdx", "a.vhdx" })
        {
            using var chain = await VhdxFiles.OpenPlainlyAsync(memory, name);
            for (var i = 0; i < Count; i++)
            {
                Assert.Equal((byte)(i | 1), chain.Read(i * Stride, 1)[0]);
            }
        }
    }

    private static bool IsLog(RecordedOperation operation) => operation.Operation == StorageOperation.Write && operation.Offset is >= LogOffset and < LogOffset + MiB;

    /// <summary>A power cut that loses what the newest entry says where it belongs.</summary>
    private static async Task CheckReplayAsync(MemoryStorageResolver memory, byte[] content, byte neighbour)
    {
        memory.Copy("a.vhdx", "cut.vhdx");
        await using (var storage = await memory.OpenAsync("cut.vhdx", StorageOpenOptions.ForWriting))
        {
            Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(BatOffset, new byte[content.Length * Page]));
        }

        using var chain = await VhdxFiles.OpenPlainlyAsync(memory, "cut.vhdx");
        for (var page = 0; page < content.Length; page++)
        {
            var block = (page * EntriesPerPage) + 7L;
            Assert.Equal(content[page], chain.Read(block * MiB, 1)[0]);
            Assert.Equal(neighbour, chain.Read((block + 1) * MiB, 1)[0]);
        }
    }

    private static byte[] Sector(byte value)
    {
        var bytes = new byte[512];
        Array.Fill(bytes, value);
        return bytes;
    }
}
