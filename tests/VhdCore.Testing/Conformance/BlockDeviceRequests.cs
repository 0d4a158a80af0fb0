using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Testing.Conformance;

/// <summary>What every block device answers to one request at a time; a part of <see cref="BlockDeviceConformance"/>.</summary>
public abstract class BlockDeviceRequests
{
    /// <summary>Bytes of the disks under test: no multiple of a page or a block.</summary>
    protected const int Size = (1 << 20) + 1536;

    /// <summary>A disk for writing that reads as zeros. The test disposes of it.</summary>
    /// <param name="length">Bytes, a multiple of 512.</param>
    protected abstract ValueTask<IBlockDevice> CreateDeviceAsync(long length);

    /// <summary>The same opened for reading alone; null where there is no such thing.</summary>
    protected virtual ValueTask<IBlockDevice?> CreateReadOnlyDeviceAsync(long length) => new((IBlockDevice?)null);

    /// <summary>What never changes.</summary>
    [Fact]
    public async Task Info_and_length_stay_as_they_are()
    {
        await using var device = await CreateDeviceAsync(Size);
        var info = device.Info;
        Assert.False(info.IsReadOnly);
        Assert.Contains(info.LogicalSectorSize, (int[])[512, 4096]);
        Assert.True(info.PhysicalSectorSize >= info.LogicalSectorSize);
        Assert.True(info.PreferredTrimSize > 0);
        Assert.Equal(Size, device.Length);
        await device.WriteBytesAsync(Size - 512, new byte[512]);
        await device.FlushAsync();
        Assert.Same(info, device.Info);
        Assert.Equal(Size, device.Length);
    }

    /// <summary>Read your writes.</summary>
    [Theory]
    [InlineData(0, 1)]
    [InlineData(0, 512)]
    [InlineData(1, 510)]
    [InlineData(511, 2)]
    [InlineData(4095, 4098)]
    [InlineData(65535, 65538)]
    [InlineData(100, 300_000)]
    [InlineData(Size - 1, 1)]
    [InlineData(Size - 700, 700)]
    [InlineData(0, Size)]
    public async Task What_was_written_is_read_and_its_neighbours_are_left_alone(int offset, int length)
    {
        await using var device = await CreateDeviceAsync(Size);
        var model = new byte[Size];
        for (byte round = 1; round <= 2; round++)
        {
            // First into nothing, then over what is there.
            Bytes.Fill(model.AsSpan(offset, length), round);
            Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(offset, model[offset..(offset + length)]));
            Assert.Equal(model[offset..(offset + length)], await device.ReadBytesAsync(offset, length));
            Bytes.AssertSame(model, await device.ReadBytesAsync(0, Size), $"after round {round}");
        }
    }

    /// <summary>Lists of memory.</summary>
    [Fact]
    public async Task Requests_gather_and_scatter_over_pieces_of_any_size_and_alignment()
    {
        await using var device = await CreateDeviceAsync(Size);
        var random = new Random(1);
        for (var round = 0; round < 40; round++)
        {
            using var written = SegmentedBuffer.CreateRandom(random, maxSegmentCount: 12);
            using var read = SegmentedBuffer.CreateRandom(random, maxSegmentCount: 12, written.Length);
            written.FillRandom(random);
            var offset = random.Next(Size - (int)written.Length + 1);
            Assert.Equal(BlockStatus.Ok, await device.WriteAsync(offset, written.Buffers));
            Assert.Equal(BlockStatus.Ok, await device.ReadAsync(offset, read.Buffers));
            Assert.Equal(written.ToArray(), read.ToArray());
        }
    }

    /// <summary>Nothing to do.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(777)]
    [InlineData(Size)]
    public async Task Requests_of_no_length_succeed_and_do_nothing(long offset)
    {
        await using var device = await CreateDeviceAsync(Size);
        using var buffer = new NativeBuffer(1);
        var none = buffer.Slice(0, 0);
        Assert.Equal(BlockStatus.Ok, await device.ReadAsync(offset, none));
        Assert.Equal(BlockStatus.Ok, await device.WriteAsync(offset, none));
        Assert.Equal(BlockStatus.Ok, await device.WriteAsync(offset, none, WriteFlags.Fua));
        Assert.Equal(BlockStatus.Ok, await device.TrimAsync(offset, 0));
        Assert.Equal(BlockStatus.Ok, await device.ZeroAsync(offset, 0));
        Bytes.AssertSame(new byte[Size], await device.ReadBytesAsync(0, Size), "after nothing");
    }

    /// <summary>Guests send anything.</summary>
    [Theory]
    [InlineData(Size, 1)]
    [InlineData(Size - 1, 2)]
    [InlineData(Size + 1, 0)]
    [InlineData(0, Size + 1)]
    [InlineData(-1, 1)]
    [InlineData(-1, 0)]
    [InlineData(-512, 512)]
    [InlineData(long.MinValue, 1)]
    [InlineData(long.MaxValue, 1)]
    [InlineData(long.MaxValue, 0)]
    [InlineData(long.MaxValue - 511, 512)]
    [InlineData(0, long.MaxValue)]
    [InlineData(1, long.MaxValue)]
    [InlineData(long.MaxValue, long.MaxValue)]
    [InlineData(0, -1)]
    [InlineData(1024, -512)]
    [InlineData(0, long.MinValue)]
    public async Task Ranges_outside_the_disk_are_refused_by_a_status(long offset, long length)
    {
        await using var device = await CreateDeviceAsync(Size);
        Assert.Equal(BlockStatus.OutOfRange, await device.TrimAsync(offset, length));
        Assert.Equal(BlockStatus.OutOfRange, await device.ZeroAsync(offset, length));
        Assert.Equal(BlockStatus.OutOfRange, await device.ZeroAsync(offset, length, WriteFlags.Fua));
        Assert.Equal(BlockStatus.OutOfRange, (await device.MapAsync(offset, length)).Status);
        if (length is >= 0 and <= 2 * Size)
        {
            using var buffer = new NativeBuffer((int)length);
            Assert.Equal(BlockStatus.OutOfRange, await device.ReadAsync(offset, buffer.Buffers));
            Assert.Equal(BlockStatus.OutOfRange, await device.WriteAsync(offset, buffer.Buffers));
            Assert.Equal(BlockStatus.OutOfRange, await device.WriteAsync(offset, buffer.Buffers, WriteFlags.Fua));
        }
        else if (length > 0)
        {
            // Memory that is never touched: the range is looked at first.
            var huge = BlockBuffers.Of(0, length);
            Assert.Equal(BlockStatus.OutOfRange, await device.ReadAsync(offset, huge));
            Assert.Equal(BlockStatus.OutOfRange, await device.WriteAsync(offset, huge));
        }
    }

    /// <summary>Zeroing is exact.</summary>
    [Theory]
    [InlineData(0, 1)]
    [InlineData(511, 2)]
    [InlineData(512, 512)]
    [InlineData(1000, 9000)]
    [InlineData(65536, 131_072)]
    [InlineData(70_000, 400_000)]
    [InlineData(Size - 1000, 1000)]
    [InlineData(0, Size)]
    public async Task Zeroed_ranges_read_zeros_and_nothing_else_does(int offset, int length)
    {
        await using var device = await CreateDeviceAsync(Size);
        var model = await FillAsync(device, 1);
        Assert.Equal(BlockStatus.Ok, await device.ZeroAsync(offset, length, length % 2 == 0 ? WriteFlags.None : WriteFlags.Fua));
        model.AsSpan(offset, length).Clear();
        Bytes.AssertSame(model, await device.ReadBytesAsync(0, Size), "after zeroing");
        Assert.Equal(BlockStatus.Ok, await device.ZeroAsync(offset, length)); // and once more, where there is nothing
        Bytes.AssertSame(model, await device.ReadBytesAsync(0, Size), "after zeroing twice");
    }

    /// <summary>A trim is a hint.</summary>
    [Theory]
    [InlineData(0, 1)]
    [InlineData(511, 2)]
    [InlineData(1000, 9000)]
    [InlineData(65536, 131_072)]
    [InlineData(70_000, 400_000)]
    [InlineData(0, Size)]
    public async Task Trimmed_ranges_read_zeros_or_their_content_and_stay_so(int offset, int length)
    {
        await using var device = await CreateDeviceAsync(Size);
        var model = await FillAsync(device, 1);
        Assert.Equal(BlockStatus.Ok, await device.TrimAsync(offset, length));
        var seen = await device.ReadBytesAsync(0, Size);
        Bytes.AssertSame(model.AsMemory(0, offset), seen.AsMemory(0, offset), "before the trim");
        Bytes.AssertSame(model.AsMemory(offset + length), seen.AsMemory(offset + length), "behind the trim");
        for (var i = offset; i < offset + length; i++)
        {
            Assert.True(seen[i] == 0 || seen[i] == model[i], $"Byte {i} is neither zero nor what it was.");
        }

        Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
        Bytes.AssertSame(seen, await device.ReadBytesAsync(0, Size), "after a flush");
        Bytes.Fill(model, 2);
        Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(offset, model[offset..(offset + length)]));
        Bytes.AssertSame(model.AsMemory(offset, length), await device.ReadBytesAsync(offset, length), "written again");
    }

    /// <summary>Against a byte array.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Random_requests_leave_what_a_byte_array_would_hold(int seed)
    {
        await using var device = await CreateDeviceAsync(Size);
        var model = new byte[Size];
        var random = new Random(seed);
        for (var step = 0; step < 300; step++)
        {
            var offset = random.Next(Size);
            var length = random.Next(1, Math.Min(Size - offset, random.Next(2) == 0 ? 2000 : 200_000) + 1);
            switch (random.Next(6))
            {
                case < 3:
                    Bytes.Fill(model.AsSpan(offset, length), step);
                    Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(offset, model[offset..(offset + length)], random.Next(8) == 0 ? WriteFlags.Fua : WriteFlags.None));
                    break;

                case 3:
                    model.AsSpan(offset, length).Clear();
                    Assert.Equal(BlockStatus.Ok, await device.ZeroAsync(offset, length));
                    break;

                case 4:
                    Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
                    break;

                default:
                    Bytes.AssertSame(model.AsMemory(offset, length), await device.ReadBytesAsync(offset, length), $"step {step}");
                    break;
            }
        }

        Bytes.AssertSame(model, await device.ReadBytesAsync(0, Size), "at the end");
    }

    /// <summary>Where the bytes are.</summary>
    [Theory]
    [InlineData(0, Size)]
    [InlineData(1, Size - 1)]
    [InlineData(70_001, 300_003)]
    [InlineData(Size - 1, 1)]
    public async Task Mapped_runs_cover_the_range_and_agree_with_what_is_read(int offset, int length)
    {
        await using var device = await CreateDeviceAsync(Size);
        var random = new Random(offset);
        for (var i = 0; i < 12; i++)
        {
            var content = new byte[random.Next(1, 50_000)];
            Bytes.Fill(content, i);
            await device.WriteBytesAsync(random.Next(Size - content.Length), content);
        }

        await device.TrimAsync(200_000, 200_000);
        await device.ZeroAsync(500_000, 100_000);
        var content2 = await device.ReadBytesAsync(0, Size);
        var at = offset;
        while (at < offset + length)
        {
            var run = await device.MapAsync(at, offset + length - at);
            Assert.Equal(BlockStatus.Ok, run.Status);
            Assert.Equal(at, run.Offset);
            Assert.InRange(run.Length, 1, offset + length - at);
            Assert.True(run.Depth >= 0);
            var bytes = content2.AsSpan(at, (int)run.Length);
            Assert.False(run.IsZero && bytes.ContainsAnyExcept((byte)0), $"The run of {run.Length} bytes at {at} is said to read zeros.");
            Assert.False(!run.IsPresent && bytes.ContainsAnyExcept((byte)0), $"The run of {run.Length} bytes at {at} is said to be nowhere.");
            at += (int)run.Length;
        }
    }

    /// <summary>Writes have no parameter to go wrong, but the device may be closed.</summary>
    [Fact]
    public async Task A_closed_disk_answers_every_request_that_it_is_closed()
    {
        var device = await CreateDeviceAsync(Size);
        await device.WriteBytesAsync(0, [1, 2, 3]);
        await device.DisposeAsync();
        using var buffer = new NativeBuffer(512);
        Assert.Equal(BlockStatus.Closed, await device.ReadAsync(0, buffer.Buffers));
        Assert.Equal(BlockStatus.Closed, await device.WriteAsync(0, buffer.Buffers));
        Assert.Equal(BlockStatus.Closed, await device.FlushAsync());
        Assert.Equal(BlockStatus.Closed, await device.TrimAsync(0, 512));
        Assert.Equal(BlockStatus.Closed, await device.ZeroAsync(0, 512));
        Assert.Equal(BlockStatus.Closed, (await device.MapAsync(0, 512)).Status);
        Assert.Equal(Size, device.Length);
        await device.DisposeAsync(); // once more does nothing
    }

    /// <summary>Some disks are only for reading.</summary>
    [Fact]
    public async Task A_read_only_disk_refuses_changes_and_reads_on()
    {
        await using var device = await CreateReadOnlyDeviceAsync(Size);
        Assert.SkipWhen(device is null, "This device has no read-only kind.");
        using var buffer = new NativeBuffer(512);
        Assert.True(device!.Info.IsReadOnly);
        Assert.Equal(BlockStatus.ReadOnly, await device.WriteAsync(0, buffer.Buffers));
        Assert.Equal(BlockStatus.ReadOnly, await device.WriteAsync(0, buffer.Buffers, WriteFlags.Fua));
        Assert.Equal(BlockStatus.ReadOnly, await device.TrimAsync(0, 512));
        Assert.Equal(BlockStatus.ReadOnly, await device.ZeroAsync(0, 512));
        Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
        Assert.Equal(BlockStatus.Ok, await device.ReadAsync(0, buffer.Buffers));
        Assert.Equal(BlockStatus.OutOfRange, await device.ReadAsync(Size, buffer.Buffers));
    }

    private static async ValueTask<byte[]> FillAsync(IBlockDevice device, int version)
    {
        var model = new byte[Size];
        Bytes.Fill(model, version);
        Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(0, model));
        return model;
    }
}
