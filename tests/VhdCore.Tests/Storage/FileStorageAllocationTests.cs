using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Testing;
using NativeBuffer = VhdCore.Testing.NativeBuffer;

namespace VhdCore.Tests.Storage;

[Collection(RunsAlone.Name)]
public sealed class FileStorageAllocationTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task In_the_steady_state_nothing_is_allocated(bool usePortablePath)
    {
        await using var storage = FileStorage.Open(_folder["a.img"], StorageOpenOptions.ForCreating with { Io = IoSettings.Batch }, usePortablePath);
        await storage.SetLengthAsync(1 << 20);
        using var one = new NativeBuffer(4096);
        using var many = new ScatteredBuffer([.. Enumerable.Repeat(511, 100)]);
        var allocated = long.MaxValue;

        // The runtime itself may allocate once, when it compiles a method again; the requests would in every round.
        for (var i = 0; i < 100 && allocated > 0; i++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            Rounds(storage, one.Buffers, many.Buffers, 500);
            allocated = Math.Min(allocated, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, allocated);

        static void Rounds(FileStorage storage, BlockBuffers one, BlockBuffers many, int count)
        {
            for (var i = 0; i < count; i++)
            {
                Require(storage.WriteAsync(i * 37, one, 0, one.Length));
                Require(storage.ReadAsync(i * 37, one, 0, one.Length));
                Require(storage.WriteAsync(i * 41, many, 0, many.Length));
                Require(storage.ReadAsync(i * 41, many, 0, many.Length));
                storage.TryRead(i * 43, one, 0, one.Length);
                storage.TryRead(i * 43, many, 0, many.Length);
            }
        }

        static void Require(ValueTask<BlockStatus> task)
        {
            if (!task.IsCompletedSuccessfully || task.Result != BlockStatus.Ok)
            {
                Assert.Fail("The request did not end at once and well.");
            }
        }
    }
}
