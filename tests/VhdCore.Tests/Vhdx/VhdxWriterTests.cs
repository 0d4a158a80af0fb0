using VhdCore.Chains;
using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using VhdCore.Vhdx;

namespace VhdCore.Tests.Vhdx;

/// <summary>Images that the library creates and writes, read back by the library and by the independent reader: while they are open, with their logs, and closed.</summary>
public class VhdxWriterTests
{
    private const int MiB = 1 << 20;

    [Theory]
    [InlineData(ImageKind.Dynamic, 512)]
    [InlineData(ImageKind.Dynamic, 4096)]
    [InlineData(ImageKind.Fixed, 512)]
    [InlineData(ImageKind.Differencing, 512)]
    [InlineData(ImageKind.Differencing, 4096)]
    public async Task Random_writes_zeros_and_trims_read_back_the_same_by_every_reader(ImageKind kind, int sectorSize)
    {
        for (var seed = 1; seed <= 2; seed++)
        {
            await RunAsync(kind, sectorSize, seed);
        }
    }

    [Fact]
    public async Task A_clean_image_that_is_only_read_stays_as_it_is_though_open_for_writing()
    {
        var resolver = new MemoryStorageResolver();
        await CreateAsync(resolver, "a.vhdx", ImageKind.Dynamic, 8 * MiB, 512, null);
        var before = resolver.GetBytes("a.vhdx");
        await using (var device = await OpenAsync(resolver, ["a.vhdx"]))
        {
            using var seen = new NativeBuffer(MiB);
            Assert.Equal(BlockStatus.Ok, await device.ReadAsync(0, seen.Buffers));
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
        }

        Assert.Equal(before, resolver.GetBytes("a.vhdx"));
    }

    [Fact]
    public async Task A_session_that_writes_changes_both_identifiers_and_leaves_a_clean_header_pair()
    {
        var resolver = new MemoryStorageResolver();
        await CreateAsync(resolver, "a.vhdx", ImageKind.Dynamic, 8 * MiB, 512, null);
        var before = await ReadMetadataAsync(resolver, "a.vhdx");
        await using (var device = await OpenAsync(resolver, ["a.vhdx"]))
        {
            using var buffer = new NativeBuffer(4096);
            buffer.Span.Fill(1);
            Assert.Equal(BlockStatus.Ok, await device.WriteAsync(0, buffer.Buffers));
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            var open = await ReadMetadataAsync(resolver, "a.vhdx");
            Assert.True(open.Header.HasLogToReplay);
            Assert.NotNull(open.Replay);
        }

        var after = await ReadMetadataAsync(resolver, "a.vhdx");
        Assert.NotEqual(before.Header.FileWriteGuid, after.Header.FileWriteGuid);
        Assert.NotEqual(before.Header.DataWriteGuid, after.Header.DataWriteGuid);
        Assert.False(after.Header.HasLogToReplay);
        Assert.True(after.Headers.First.IsValid && after.Headers.Second.IsValid);
        Assert.Equal(after.Headers.First.DataWriteGuid, after.Headers.Second.DataWriteGuid);
        Assert.Equal(0, resolver.GetBytes("a.vhdx").Length % MiB);
    }

    [Fact]
    public async Task Trimmed_blocks_are_used_again_and_the_file_does_not_grow()
    {
        var resolver = new MemoryStorageResolver();
        await CreateAsync(resolver, "a.vhdx", ImageKind.Dynamic, 64 * MiB, 512, null);
        await using var device = await OpenAsync(resolver, ["a.vhdx"]);
        using var full = new NativeBuffer(MiB);
        full.Span.Fill(0xEE);
        using var seen = new NativeBuffer(MiB);
        long length = 0;
        for (var round = 0; round < 60; round++)
        {
            Assert.Equal(BlockStatus.Ok, await device.WriteAsync(round % 40 * MiB, full.Buffers));
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            Assert.Equal(BlockStatus.Ok, await device.TrimAsync(round % 40 * MiB, MiB));
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            Assert.Equal(BlockStatus.Ok, await device.WriteAsync((50 * MiB) + 512, full.Slice(0, 512)));
            Assert.Equal(BlockStatus.Ok, await device.ReadAsync(50 * MiB, seen.Buffers));
            Assert.False(seen.Span[..512].ContainsAnyExcept((byte)0) || seen.Span[1024..].ContainsAnyExcept((byte)0));
            Assert.Equal(BlockStatus.Ok, await device.TrimAsync(50 * MiB, MiB));
            length = round == 20 ? resolver.GetBytes("a.vhdx").Length : length;
        }

        Assert.Equal(length, resolver.GetBytes("a.vhdx").Length);
    }

    [Theory]
    [InlineData(0x7FFF_FFFF_FFF0_0006UL)] // behind the file's end
    [InlineData(0x0000_0000_0010_0006UL)] // over the log
    [InlineData(0x0000_0000_0040_0004UL)] // a reserved state
    [InlineData(0x0000_0000_0040_0006UL)] // the place that the first block has
    public async Task An_image_with_an_impossible_entry_is_not_opened_for_writing_and_stays_as_it_is(ulong entry)
    {
        const int BatOffset = 3 * MiB;
        var resolver = new MemoryStorageResolver();
        await CreateAsync(resolver, "a.vhdx", ImageKind.Dynamic, 8 * MiB, 512, null);
        await using (var device = await OpenAsync(resolver, ["a.vhdx"]))
        {
            using var buffer = new NativeBuffer(512);
            Assert.Equal(BlockStatus.Ok, await device.WriteAsync(0, buffer.Buffers));
        }

        var image = resolver.GetBytes("a.vhdx");
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(BatOffset + (5 * 8)), entry);
        resolver.Add("b.vhdx", image);

        var refusal = await Assert.ThrowsAsync<CorruptImageException>(async () => await OpenAsync(resolver, ["b.vhdx"]));
        Assert.InRange(refusal.FileOffset!.Value, BatOffset, BatOffset + (8 * 8));
        Assert.Equal(image, resolver.GetBytes("b.vhdx"));
    }

    [Fact]
    public async Task A_place_that_another_block_may_take_again_is_not_given_away()
    {
        const int BatOffset = 3 * MiB;
        var resolver = new MemoryStorageResolver();
        await CreateAsync(resolver, "a.vhdx", ImageKind.Dynamic, 16 * MiB, 512, null);
        using var buffer = new NativeBuffer(MiB);
        buffer.Span.Fill(3);
        await using (var device = await OpenAsync(resolver, ["a.vhdx"]))
        {
            for (var block = 0; block < 3; block++)
            {
                Assert.Equal(BlockStatus.Ok, await device.WriteAsync(block * MiB, buffer.Buffers));
            }
        }

        var image = resolver.GetBytes("a.vhdx");
        image[BatOffset + 8] = (byte)((image[BatOffset + 8] & ~7) | (int)PayloadBlockState.Unmapped); // as Hyper-V leaves a block after a trim
        resolver.Add("b.vhdx", image);
        await using (var device = await OpenAsync(resolver, ["b.vhdx"]))
        {
            for (var block = 3; block < 14; block++)
            {
                Assert.Equal(BlockStatus.Ok, await device.WriteAsync(block * MiB, buffer.Buffers));
            }
        }

        var after = resolver.GetBytes("b.vhdx");
        var offsets = Enumerable.Range(0, 16).Select(i => System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(after.AsSpan(BatOffset + (i * 8))) >> 20).Where(offset => offset != 0).ToArray();
        Assert.Equal(14, offsets.Length);
        Assert.Equal(offsets.Length, offsets.Distinct().Count());
    }

    private static async Task RunAsync(ImageKind kind, int sectorSize, int seed)
    {
        var random = new Random(seed);
        var size = (random.Next(3, 7) * MiB) + (random.Next(3) * sectorSize);
        var resolver = new MemoryStorageResolver();
        var names = new List<string> { "leaf.vhdx" };
        var model = new byte[size];
        if (kind == ImageKind.Differencing)
        {
            names.Add("parent.vhdx");
            await CreateAsync(resolver, "parent.vhdx", ImageKind.Dynamic, size, sectorSize, null);
            await using var parent = await OpenAsync(resolver, ["parent.vhdx"]);
            for (var i = 0; i < 12; i++)
            {
                await WriteAsync(parent, model, random, size);
            }
        }

        await CreateAsync(resolver, "leaf.vhdx", kind, size, sectorSize, kind == ImageKind.Differencing ? "parent.vhdx" : null);
        for (var session = 0; session < 2; session++)
        {
            await using var device = await OpenAsync(resolver, names);
            for (var step = 0; step < 40; step++)
            {
                await StepAsync(device, model, random, size);
                if (random.Next(20) == 0)
                {
                    Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
                    CheckFiles(resolver, names, model, $"{kind}, seed {seed}, session {session}, step {step}, open");
                }
            }

            await CompareAsync(device, model);
            Assert.Equal(BlockStatus.Ok, await device.CloseAsync());
            CheckFiles(resolver, names, model, $"{kind}, seed {seed}, session {session}, closed");
        }
    }

    private static void CheckFiles(MemoryStorageResolver resolver, List<string> names, byte[] model, string when)
    {
        using var chain = PlainVhdxChain.Open([.. names.Select(name => (Stream)new MemoryStream(resolver.GetBytes(name), writable: false))]);
        var seen = chain.ReadAll();
        Assert.True(seen.AsSpan().SequenceEqual(model), $"{when}: byte {seen.AsSpan().CommonPrefixLength(model)} differs");
    }

    private static async Task StepAsync(ChainDevice device, byte[] model, Random random, int size)
    {
        var offset = random.Next(size);
        var length = Math.Min(random.Next(2) == 0 ? random.Next(5000) : random.Next(3 * MiB), size - offset);
        switch (random.Next(8))
        {
            case < 4:
                await WriteAsync(device, model, random, size);
                break;

            case 4:
                Assert.Equal(BlockStatus.Ok, await device.ZeroAsync(offset, length));
                model.AsSpan(offset, length).Clear();
                break;

            case 5:
                Assert.Equal(BlockStatus.Ok, await device.TrimAsync(offset, length));
                using (var seen = new NativeBuffer(length + 1))
                {
                    Assert.Equal(BlockStatus.Ok, await device.ReadAsync(offset, seen.Slice(0, length)));
                    for (var i = 0; i < length; i++)
                    {
                        Assert.True(seen.Span[i] == 0 || seen.Span[i] == model[offset + i]);
                        model[offset + i] = seen.Span[i];
                    }
                }

                break;

            default:
                using (var seen = new NativeBuffer(length + 1))
                {
                    Assert.Equal(BlockStatus.Ok, await device.ReadAsync(offset, seen.Slice(0, length)));
                    Assert.True(seen.Span[..length].SequenceEqual(model.AsSpan(offset, length)));
                }

                break;
        }
    }

    private static async Task WriteAsync(ChainDevice device, byte[] model, Random random, int size)
    {
        var offset = random.Next(size);
        var length = Math.Min(random.Next(3) switch { 0 => random.Next(40), 1 => random.Next(20_000), _ => random.Next(2 * MiB) }, size - offset);
        using var buffer = new NativeBuffer(length + 1);
        random.NextBytes(buffer.Span);
        Assert.Equal(BlockStatus.Ok, await device.WriteAsync(offset, buffer.Slice(0, length)));
        buffer.Span[..length].CopyTo(model.AsSpan(offset));
    }

    private static async Task CompareAsync(ChainDevice device, byte[] model)
    {
        using var seen = new NativeBuffer(model.Length);
        Assert.Equal(BlockStatus.Ok, await device.ReadAsync(0, seen.Buffers));
        Assert.True(seen.Span.SequenceEqual(model), $"byte {seen.Span.CommonPrefixLength(model)} differs");
    }

    private static async Task CreateAsync(MemoryStorageResolver resolver, string name, ImageKind kind, long size, int sectorSize, string? parent)
    {
        var locator = new List<KeyValuePair<string, string>>();
        if (parent is not null)
        {
            var linkage = (await ReadMetadataAsync(resolver, parent)).Header.DataWriteGuid;
            locator.Add(new("parent_linkage", $"{{{linkage:D}}}"));
            locator.Add(new("relative_path", ".\\" + parent));
        }

        await using var storage = await resolver.OpenAsync(name, StorageOpenOptions.ForCreating);
        var parameters = new VhdxCreateParameters
        {
            Kind = kind,
            Size = size,
            BlockSize = MiB,
            LogicalSectorSize = sectorSize,
            VirtualDiskId = Guid.NewGuid(),
            DataWriteGuid = Guid.NewGuid(),
            FileWriteGuid = Guid.NewGuid(),
            ParentLocator = locator,
        };
        await VhdxCreator.CreateAsync(storage, parameters, default);
    }

    private static async Task<VhdxMetadata> ReadMetadataAsync(MemoryStorageResolver resolver, string name)
    {
        await using var storage = await resolver.OpenAsync(name, StorageOpenOptions.ForReading with { Sharing = StorageSharing.Force });
        return await VhdxMetadataReader.ReadAsync(storage, new ImageOpenOptions(), default);
    }

    private static async Task<ChainDevice> OpenAsync(MemoryStorageResolver resolver, List<string> names)
    {
        var gate = new InFlightGate();
        var layers = new List<IImageLayer>();
        foreach (var name in names)
        {
            var isLeaf = layers.Count == 0;
            var options = new ImageOpenOptions { Writable = isLeaf };
            var storage = await resolver.OpenAsync(name, isLeaf ? StorageOpenOptions.ForWriting : StorageOpenOptions.ForReading);
            var metadata = await VhdxMetadataReader.ReadAsync(storage, options, default);
            layers.Add(isLeaf ? await VhdxWriterOpener.OpenAsync(storage, metadata, options, gate, default) : VhdxLayer.Open(storage, metadata, options));
        }

        return new ChainDevice(new ChainState(layers, layers[0].Length), gate, new BlockDeviceInfo { Name = names[0] });
    }
}
