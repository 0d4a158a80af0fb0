using VhdCore.Errors;

namespace VhdCore.Testing.Conformance;

/// <summary>
/// What every block device does, whatever stands behind it, alone and under many requests at once. A format, a chain or a decorator joins by deriving a
/// class that creates its device. Seeds are fixed; the races in here differ from run to run.
/// </summary>
public abstract class BlockDeviceConformance : BlockDeviceRequests
{
    private const int Sector = 512;

    /// <summary>The hard case of sub-sector writes: nobody may lose a byte.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Writers_of_different_bytes_of_one_sector_lose_none(bool isSectorPresent)
    {
        await using var device = await CreateDeviceAsync(Size);
        const int Writers = 8;
        const int Share = Sector / Writers;
        for (var round = 0; round < 60; round++)
        {
            var sector = (long)round * 17 * Sector;
            if (isSectorPresent)
            {
                await device.WriteBytesAsync(sector, new byte[Sector]);
            }

            await AtOnceAsync(Writers, async writer =>
            {
                var content = new byte[Share];
                Array.Fill(content, (byte)(writer + 1));
                Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(sector + (writer * Share), content));
            });
            var seen = await device.ReadBytesAsync(sector, Sector);
            Assert.All(Enumerable.Range(0, Sector), i => Assert.Equal((i / Share) + 1, seen[i]));
        }
    }

    /// <summary>Whole sectors win or lose as wholes.</summary>
    [Fact]
    public async Task Overlapping_writes_never_mix_inside_a_sector()
    {
        await using var device = await CreateDeviceAsync(Size);
        for (var round = 0; round < 60; round++)
        {
            var offset = (long)round * 16 * Sector;
            await AtOnceAsync(4, async writer =>
            {
                var content = new byte[8 * Sector];
                Array.Fill(content, (byte)(writer + 1));
                Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(offset, content));
            });
            var seen = await device.ReadBytesAsync(offset, 8 * Sector);
            Assert.All(seen.Chunk(Sector), sector => Assert.Single(sector.Distinct()));
            Assert.DoesNotContain((byte)0, seen);
        }
    }

    /// <summary>First writes into one block race for its allocation.</summary>
    [Fact]
    public async Task First_writes_into_one_block_from_everywhere_all_arrive()
    {
        await using var device = await CreateDeviceAsync(Size);
        var model = new byte[Size];
        Bytes.Fill(model, 1);
        await AtOnceAsync(8, async writer =>
        {
            for (var offset = writer * Sector; offset < Size; offset += 8 * Sector)
            {
                Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(offset, model[offset..Math.Min(offset + Sector, Size)]));
                if (offset % 77 == 0)
                {
                    Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
                }
            }
        });
        Bytes.AssertSame(model, await device.ReadBytesAsync(0, Size), "after all");
    }

    /// <summary>A cancelled request ends, and does no harm beyond its range.</summary>
    [Fact]
    public async Task Cancelled_requests_end_by_a_status_and_touch_nothing_else()
    {
        await using var device = await CreateDeviceAsync(Size);
        var model = new byte[Size];
        Bytes.Fill(model, 1);
        await device.WriteBytesAsync(0, model);
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        using var buffer = new NativeBuffer(4096);
        BlockStatus[] allowed = [BlockStatus.Ok, BlockStatus.Cancelled];
        Assert.Contains(await device.ReadAsync(0, buffer.Buffers, cancelled.Token), allowed);
        Assert.Contains(await device.FlushAsync(cancelled.Token), allowed);
        Assert.Contains((await device.MapAsync(0, 512, cancelled.Token)).Status, allowed);
        for (var round = 0; round < 30; round++)
        {
            using var source = new CancellationTokenSource();
            var offset = round * 8192;
            var content = new byte[4096];
            Bytes.Fill(content, round + 2);
            var writing = device.WriteBytesAsync(offset, content, cancellationToken: source.Token).AsTask();
            await source.CancelAsync();
            Assert.Contains(await writing, allowed);
            var seen = await device.ReadBytesAsync(offset, 4096);
            for (var i = 0; i < seen.Length; i++)
            {
                Assert.True(seen[i] == content[i] || seen[i] == model[offset + i], $"Byte {offset + i} is neither old nor new.");
            }

            seen.CopyTo(model, offset);
        }

        Bytes.AssertSame(model, await device.ReadBytesAsync(0, Size), "after all");
    }

    /// <summary>Closing waits for what is in flight.</summary>
    [Fact]
    public async Task Requests_during_closing_are_done_or_refused()
    {
        for (var round = 0; round < 10; round++)
        {
            var device = await CreateDeviceAsync(Size);
            var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var guests = AtOnceAsync(4, async guest =>
            {
                using var buffer = new NativeBuffer(4096);
                for (var step = 0; ; step++)
                {
                    var offset = ((guest * 50) + (step % 50)) * 4096L;
                    var status = (step % 5) switch
                    {
                        0 or 1 => await device.WriteAsync(offset, buffer.Buffers),
                        2 => await device.ReadAsync(offset, buffer.Buffers),
                        3 => await device.FlushAsync(),
                        _ => await device.ZeroAsync(offset, 4096),
                    };
                    if (status == BlockStatus.Closed)
                    {
                        return;
                    }

                    Assert.Equal(BlockStatus.Ok, status);
                    started.TrySetResult();
                }
            });
            await Task.WhenAny(started.Task, guests);
            await device.DisposeAsync();
            await guests.WaitAsync(Patience.Hang);
        }
    }

    private static Task AtOnceAsync(int count, Func<int, Task> work) =>
        Task.WhenAll(Enumerable.Range(0, count).Select(index => Task.Run(() => work(index))));
}
