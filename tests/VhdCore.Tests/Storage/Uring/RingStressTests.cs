using System.Globalization;
using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Storage.Uring;
using VhdCore.Testing;
using NativeBuffer = VhdCore.Testing.NativeBuffer;

namespace VhdCore.Tests.Storage.Uring;

/// <summary>
/// Hundreds of requests of every kind at once, cancelled at random, on a ring whose requests are spoilt at random. Each worker has bytes of its own, and
/// knows what they may be. VHDKIT_SEED repeats the choices; what the threads make of them differs.
/// </summary>
[Collection(RunsAlone.Name)]
public sealed class RingStressTests : IDisposable
{
    private const int Workers = 200;
    private const int RequestsOfAWorker = 60;
    private const int Region = 16384; // bytes of a worker's own
    private const byte Guard = 0xA5;

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(StorageCache.Writeback)]
    [InlineData(StorageCache.None)]
    public async Task Requests_that_are_cancelled_and_spoilt_end_once_with_the_right_status_and_leave_nothing_behind(StorageCache cache)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Linux only.");
        var seed = int.TryParse(Environment.GetEnvironmentVariable("VHDKIT_SEED"), CultureInfo.InvariantCulture, out var asked) ? asked : 1;
        TestContext.Current.AddWarning($"seed {seed}");
        var before = RingFixture.Descriptors(_folder);
        var spoiler = new Spoiler(seed);
        using (var engine = RingFixture.Start())
        {
            engine.Tamper = spoiler.Spoil;
            var storage = FileStorage.Open(_folder["a.img"], RingFixture.Options(engine, cache));
            await using (storage)
            {
                Assert.Equal(BlockStatus.Ok, await storage.SetLengthAsync((long)Workers * Region));
                await Task.WhenAll(Enumerable.Range(0, Workers).Select(i => Task.Run(() => WorkAsync(storage, i, new Random(seed + i)))));
                await RingFixture.LeaveRingAsync();
            }

            Assert.True(spoiler.Count > 100, "Hardly anything was spoilt.");
        }

        Assert.Equal(before, RingFixture.Descriptors(_folder));
        Assert.Equal((long)Workers * Region, new FileInfo(_folder["a.img"]).Length);
    }

    [Fact]
    public async Task Memory_stays_where_it_was_over_many_requests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Linux only.");
        using var engine = RingFixture.Start();
        engine.Tamper = new Spoiler(1).Spoil;
        await using var storage = FileStorage.Open(_folder["a.img"], RingFixture.Options(engine, StorageCache.None));
        await storage.SetLengthAsync((long)Workers * Region);
        await RoundAsync(storage);
        var before = NativeMemoryInUse();

        for (var round = 0; round < 5; round++)
        {
            await RoundAsync(storage);
        }

        await RingFixture.LeaveRingAsync();
        Assert.InRange(NativeMemoryInUse() - before, long.MinValue, 64 << 20);

        static Task RoundAsync(FileStorage storage) =>
            Task.WhenAll(Enumerable.Range(0, Workers).Select(i => Task.Run(() => WorkAsync(storage, i, new Random(i)))));
    }

    /// <summary>Bytes that the process has in memory beside the garbage collector's heap, which grows with the machine's caches.</summary>
    private static long NativeMemoryInUse()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        return Environment.WorkingSet - GC.GetGCMemoryInfo(GCKind.Any).TotalCommittedBytes;
    }

    private static async Task WorkAsync(FileStorage storage, int worker, Random random)
    {
        var start = (long)worker * Region;
        var content = await storage.ReadUntilOkAsync(start, Region);
        var maybe = (byte[])content.Clone(); // what each byte is if the last write that failed got so far
        using var buffer = new NativeBuffer(Region + 8192);
        for (var i = 0; i < RequestsOfAWorker; i++)
        {
            using var cancel = new CancellationTokenSource();
            if (random.Next(5) == 0)
            {
                cancel.CancelAfter(TimeSpan.FromMicroseconds(random.Next(300)));
            }

            var (offset, length) = random.Next(2) == 0
                ? (random.Next(Region / 512) * 512, 512)
                : (random.Next(Region - 1), 0);
            length = length > 0 ? Math.Min(512 * random.Next(1, 9), Region - offset) : random.Next(1, Math.Min(9000, Region - offset) + 1);
            var skew = random.Next(2) == 0 ? 0 : random.Next(1, 4096);
            buffer.Span.Fill(Guard);
            switch (random.Next(8))
            {
                case < 4:
                    var read = await storage.ReadAsync(start + offset, buffer.Buffers, skew, length, cancel.Token);
                    RequireExpected(read);
                    for (var at = 0; read == BlockStatus.Ok && at < length; at++)
                    {
                        var seen = buffer.Span[skew + at];
                        Assert.True(seen == content[offset + at] || seen == maybe[offset + at], $"worker {worker}: byte {offset + at} is {seen}.");
                    }

                    Assert.True(!buffer.Span[..skew].ContainsAnyExcept(Guard), "A read touched memory before its own.");
                    break;

                case < 7:
                    random.NextBytes(buffer.Span.Slice(skew, length));
                    var bytes = buffer.Span.Slice(skew, length).ToArray();
                    await SettleAsync(storage, start, content, maybe);
                    var flags = random.Next(8) == 0 ? WriteFlags.Fua : WriteFlags.None;
                    var written = await storage.WriteAsync(start + offset, buffer.Buffers, skew, length, flags, cancel.Token);
                    RequireExpected(written);
                    bytes.CopyTo(maybe, offset);
                    if (written == BlockStatus.Ok)
                    {
                        bytes.CopyTo(content, offset);
                    }

                    break;

                default:
                    RequireExpected(await storage.FlushAsync(cancel.Token));
                    break;
            }
        }

        await SettleAsync(storage, start, content, maybe);
    }

    /// <summary>After a write that failed, the bytes are its old or its new ones; from now on it is known which.</summary>
    private static async Task SettleAsync(FileStorage storage, long start, byte[] content, byte[] maybe)
    {
        if (content.AsSpan().SequenceEqual(maybe))
        {
            return;
        }

        var now = await storage.ReadUntilOkAsync(start, Region);
        for (var i = 0; i < Region; i++)
        {
            Assert.True(now[i] == content[i] || now[i] == maybe[i], $"byte {start + i} is neither old nor new.");
        }

        now.CopyTo(content, 0);
        now.CopyTo(maybe, 0);
    }

    private static void RequireExpected(BlockStatus status)
    {
        if (status is not (BlockStatus.Ok or BlockStatus.Cancelled or BlockStatus.ReadOnly or BlockStatus.IoError))
        {
            Assert.Fail($"{status} was not to be expected.");
        }
    }

    /// <summary>Spoils every so-many-th entry before the kernel sees it. Writes that must be durable are left alone: one that fails ends all writing.</summary>
    private sealed class Spoiler(int seed)
    {
        private readonly Random _random = new(seed);

        public int Count { get; private set; }

        // Only the ring's thread calls this.
        public void Spoil(IoRequest request, ref UringSubmission submission)
        {
            if ((request.Flags & WriteFlags.Fua) != 0 || _random.Next(8) != 0)
            {
                return;
            }

            Count++;
            switch (_random.Next(4))
            {
                case 0:
                    submission.Descriptor = -1; // EBADF
                    break;

                case 1:
                    submission.ReadWriteFlags = 1 << 30; // no such flag: EINVAL or EOPNOTSUPP
                    break;

                case 2 when submission.Operation is UringConstants.OperationRead or UringConstants.OperationWrite && submission.Length > 512:
                    submission.Length = 512; // moves less than was asked for
                    break;

                default:
                    submission.Flags |= UringConstants.SqeAsync; // a thread of the kernel's, and another order
                    break;
            }
        }
    }
}

internal static class StressReading
{
    /// <summary>Reads in spite of faults.</summary>
    public static async Task<byte[]> ReadUntilOkAsync(this FileStorage storage, long offset, int length)
    {
        using var buffer = new NativeBuffer(length);
        while (await storage.ReadAsync(offset, buffer.Buffers, 0, length) is var status and not BlockStatus.Ok)
        {
            Assert.True(status is BlockStatus.ReadOnly or BlockStatus.IoError, $"reading again: {status}");
        }

        return buffer.Span.ToArray();
    }
}
