using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Storage.Uring;
using VhdCore.Testing;
using NativeBuffer = VhdCore.Testing.NativeBuffer;

namespace VhdCore.Tests.Storage.Uring;

/// <summary>What an engine of rings does beside moving bytes: threads, cancelling, limits, ending.</summary>
[Collection(RunsAlone.Name)]
public sealed class UringEngineTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Every_set_of_flags_that_a_kernel_may_lack_has_one_after_it_that_works(int firstFlagSet)
    {
        using var engine = RingFixture.Start(firstFlagSet);
        await using var storage = FileStorage.Open(_folder["a.img"], RingFixture.Options(engine, StorageCache.None));
        Assert.Equal(BlockStatus.Ok, await storage.SetLengthAsync(1 << 20));
        var content = new byte[100_000];
        new Random(firstFlagSet).NextBytes(content);

        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(4096, content));
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(8192, content.AsMemory(4096, 4096).ToArray(), WriteFlags.Fua));

        Assert.Equal(content, await storage.ReadBytesAsync(4096, content.Length));
        await RingFixture.LeaveRingAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_task_goes_on_on_the_ring_s_thread_or_on_the_pool_as_asked(bool completesInline)
    {
        using var engine = RingFixture.Start();
        using var pipe = new RingFixture.Pipe();
        using var buffer = new NativeBuffer(1);
        var wasOnRing = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        ThenDo(pipe.ReadAsync(engine, buffer.Buffers, completesInline), () => wasOnRing.SetResult(UringWorker.Current is not null));

        pipe.Write(7);

        Assert.Equal(completesInline, await wasOnRing.Task.WaitAsync(Patience.Hang));
        Assert.Equal(7, buffer.Span[0]);
        await RingFixture.LeaveRingAsync();
    }

    [Fact]
    public async Task Cancelling_ends_a_request_that_the_kernel_has()
    {
        using var engine = RingFixture.Start();
        using var pipe = new RingFixture.Pipe();
        using var buffer = new NativeBuffer(1);
        using var cancel = new CancellationTokenSource();
        var read = pipe.ReadAsync(engine, buffer.Buffers, cancellationToken: cancel.Token).AsTask();
        await NothingEndsAsync(read);

        await cancel.CancelAsync();

        Assert.Equal(BlockStatus.Cancelled, await read.WaitAsync(Patience.Hang));
        pipe.Write(9);
        Assert.Equal(0, buffer.Span[0]); // the kernel has let go of it
        Assert.Equal(1, pipe.Finished);
        await RingFixture.LeaveRingAsync();
    }

    [Fact]
    public async Task Requests_beyond_the_ring_s_room_wait_and_can_be_cancelled_there_and_none_is_lost()
    {
        using var engine = RingFixture.Start();
        using var pipe = new RingFixture.Pipe();
        const int Count = UringWorker.MaxInFlight + 50;
        using var buffer = new NativeBuffer(Count);
        using var cancel = new CancellationTokenSource();
        var reads = Enumerable.Range(0, Count)
            .Select(i => pipe.ReadAsync(engine, buffer.Slice(i, 1), cancellationToken: i >= Count - 20 ? cancel.Token : default).AsTask())
            .ToArray();
        await NothingEndsAsync(Task.WhenAny(reads));

        await cancel.CancelAsync();
        pipe.Write([.. Enumerable.Repeat((byte)1, Count - 20)]);

        var statuses = await Task.WhenAll(reads).WaitAsync(Patience.Hang);
        Assert.All(statuses[..^20], status => Assert.Equal(BlockStatus.Ok, status));
        Assert.All(statuses[^20..], status => Assert.Equal(BlockStatus.Cancelled, status));
        Assert.Equal(Count - 20, buffer.Span.Count((byte)1));
        await RingFixture.LeaveRingAsync();
    }

    [Fact]
    public async Task Who_asks_for_more_than_an_engine_holds_does_it_himself()
    {
        using var engine = RingFixture.Start();
        using var pipe = new RingFixture.Pipe();
        using var buffer = new NativeBuffer(1);
        using var cancel = new CancellationTokenSource();
        var held = Enumerable.Range(0, IoEngine.MaxHeld).Select(_ => pipe.ReadAsync(engine, buffer.Buffers, cancellationToken: cancel.Token).AsTask()).ToArray();

        var more = pipe.ReadAsync(engine, buffer.Buffers);

        Assert.True(more.IsCompleted);
        Assert.Equal(BlockStatus.Unsupported, await more); // what the pipe answers to being asked to wait
        Assert.Equal(1, pipe.Runs);
        await cancel.CancelAsync();
        Assert.All(await Task.WhenAll(held).WaitAsync(Patience.Hang), status => Assert.Equal(BlockStatus.Cancelled, status));
        await RingFixture.LeaveRingAsync();
    }

    [Fact]
    public async Task Ending_an_engine_waits_for_what_the_kernel_has_and_leaves_no_descriptor()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Linux only.");
        using var pipe = new RingFixture.Pipe();
        using var buffer = new NativeBuffer(100);
        var before = RingFixture.Descriptors(_folder);
        var engine = RingFixture.Start();
        var reads = Enumerable.Range(0, 100).Select(i => pipe.ReadAsync(engine, buffer.Slice(i, 1)).AsTask()).ToArray();

        var ending = Task.Run(engine.Dispose);
        await NothingEndsAsync(ending);
        pipe.Write(new byte[100]);

        await ending.WaitAsync(Patience.Hang);
        Assert.All(reads, read => Assert.Equal(BlockStatus.Ok, read.Result));
        Assert.Equal(BlockStatus.Unsupported, await pipe.ReadAsync(engine, buffer.Buffers)); // nobody takes it any more
        Assert.Equal(before, RingFixture.Descriptors(_folder));
        await RingFixture.LeaveRingAsync();
    }

    [Fact]
    public void Engines_that_come_and_go_leave_nothing_open()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Linux only.");
        var (descriptors, eventFds) = (RingFixture.Descriptors(_folder), RingFixture.EventFdCount());

        for (var i = 0; i < 50; i++)
        {
            RingFixture.Start().Dispose();
        }

        Assert.Equal(descriptors, RingFixture.Descriptors(_folder));
        Assert.InRange(RingFixture.EventFdCount(), 0, eventFds + 10);
    }

    [Fact]
    public async Task Closing_a_file_waits_for_its_requests_in_flight_and_refuses_others()
    {
        using var engine = RingFixture.Start();
        var held = new TaskCompletionSource();
        var storage = FileStorage.Open(_folder["a.img"], RingFixture.Options(engine, StorageCache.None, CallerWaits.ForMemory));
        await storage.SetLengthAsync(1 << 20);
        engine.Tamper = (IoRequest _, ref UringSubmission _) => held.Task.Wait(Patience.Hang);
        using var buffer = new NativeBuffer(4096);
        var read = storage.ReadAsync(0, buffer.Buffers, 0, 4096).AsTask();

        var closing = storage.DisposeAsync().AsTask();

        Assert.False(closing.IsCompleted);
        Assert.Equal(BlockStatus.Closed, await storage.ReadAsync(0, buffer.Buffers, 0, 4096));
        held.SetResult();
        await closing.WaitAsync(Patience.Hang);
        Assert.Equal(BlockStatus.Ok, await read.WaitAsync(Patience.Hang));
        File.Delete(_folder["a.img"]); // its lock is gone with it
        await RingFixture.LeaveRingAsync();
    }

    [Fact]
    public async Task In_the_steady_state_nothing_is_allocated()
    {
        ReleaseBuild.Require();
        using var engine = RingFixture.Start();
        await using var storage = FileStorage.Open(_folder["a.img"], RingFixture.Options(engine, StorageCache.None));
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, new byte[1 << 20]));
        using var buffer = new NativeBuffer(RingAllocations.Workers * 4096);

        await RingAllocations.RequireNoneAsync((worker, i) => storage.ReadAsync(((i * 37) % 256) * 4096L, buffer.Buffers, worker * 4096L, 4096)).WaitAsync(Patience.Hang);
        await RingFixture.LeaveRingAsync();
    }

    private static void ThenDo(ValueTask<BlockStatus> task, Action continuation)
    {
        var awaiter = task.ConfigureAwait(false).GetAwaiter();
        awaiter.UnsafeOnCompleted(() =>
        {
            Assert.Equal(BlockStatus.Ok, awaiter.GetResult());
            continuation();
        });
    }

    /// <summary>Gives what must not happen some time to happen.</summary>
    private static async Task NothingEndsAsync(Task task)
    {
        await Task.WhenAny(task, Task.Delay(50));
        Assert.False(task.IsCompleted, "It ended too early.");
    }
}
