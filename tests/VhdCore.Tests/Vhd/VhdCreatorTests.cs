using System.Buffers.Binary;
using System.Text;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Vhd;

namespace VhdCore.Tests.Vhd;

public sealed class VhdCreatorTests
{
    private const long GiB = 1L << 30;
    private static readonly Guid UniqueId = Guid.Parse("00112233-4455-6677-8899-aabbccddeeff");
    private static readonly DateTimeOffset Time = new(2000, 1, 1, 0, 0, 1, TimeSpan.Zero);

    [Fact]
    public async Task A_dynamic_image_is_these_bytes()
    {
        var bytes = (await CreateAsync(new() { Kind = ImageKind.Dynamic, Size = 4 << 20, UniqueId = UniqueId, Timestamp = Time })).ToArray();

        // 8192 sectors: 17 to the track give 481 tracks, so 4 heads and 120 cylinders.
        var footer = Golden(512,
            (0, "636F6E6563746978 00000002 00010000 0000000000000200 00000001 77696E20 000A0000 5769326B"),
            (40, "0000000000400000 0000000000400000 0078 04 11 00000003"),
            (68, "00112233445566778899AABBCCDDEEFF"));
        PutChecksum(footer, 64);
        var header = Golden(1024,
            (0, "6378737061727365 FFFFFFFFFFFFFFFF 0000000000001000 00010000 00000002 00200000"));
        PutChecksum(header, 36);
        var table = new byte[4096];
        Array.Fill(table, (byte)0xFF);
        Assert.Equal([.. footer, .. header, .. new byte[4096 - 1536], .. table, .. footer], bytes);
    }

    [Fact]
    public async Task A_fixed_image_is_its_content_and_this_footer()
    {
        foreach (var preallocate in new[] { false, true })
        {
            var storage = await CreateAsync(new() { Kind = ImageKind.Fixed, Size = (4 << 20) - 1, UniqueId = UniqueId, Timestamp = Time, Preallocate = preallocate });
            var footer = Golden(512,
                (0, "636F6E6563746978 00000002 00010000 FFFFFFFFFFFFFFFF 00000001 77696E20 000A0000 5769326B"),
                (40, "0000000000400000 0000000000400000 0078 04 11 00000002"),
                (68, "00112233445566778899AABBCCDDEEFF"));
            PutChecksum(footer, 64);
            Assert.Equal([.. new byte[4 << 20], .. footer], storage.ToArray());
            Assert.Equal(preallocate, storage.Traits.AllocatedBytes!() >= 4 << 20);
        }
    }

    [Fact]
    public async Task A_differencing_image_names_its_parent_as_Windows_does()
    {
        var storage = await CreateAsync(new()
        {
            Kind = ImageKind.Differencing,
            Size = 4 << 20,
            UniqueId = UniqueId,
            Timestamp = Time,
            Parent = new() { UniqueId = Guid.Parse("5fa21a55-f394-aa4d-9958-1951a67d5540"), AbsolutePath = @"C:\disks\fat-parent.vhd", RelativePath = "fat-parent.vhd", ModificationTime = Time },
        });
        var bytes = storage.ToArray();
        Assert.Equal(Golden(24, (0, "57326B75 00001000 0000002E 00000000 0000000000001000")), bytes[(512 + 576)..(512 + 600)]);
        Assert.Equal(Golden(24, (0, "57327275 00001000 00000020 00000000 0000000000002000")), bytes[(512 + 600)..(512 + 624)]);
        Assert.Equal(new byte[6 * 24], bytes[(512 + 624)..(512 + 768)]);
        Assert.Equal(Golden(20, (0, "5FA21A55F394AA4D99581951A67D5540 00000001")), bytes[(512 + 40)..(512 + 60)]);
        Assert.Equal(Encoding.BigEndianUnicode.GetBytes(@"C:\disks\fat-parent.vhd" + '\0'), bytes[(512 + 64)..(512 + 112)]);
        Assert.Equal(Encoding.Unicode.GetBytes(@"C:\disks\fat-parent.vhd"), bytes[4096..(4096 + 46)]);
        Assert.Equal(Encoding.Unicode.GetBytes(@".\fat-parent.vhd"), bytes[8192..(8192 + 32)]);
        Assert.Equal(12288UL, BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(512 + 16)));
        Assert.All(bytes[12288..16384], value => Assert.Equal(0xFF, value));
        Assert.Equal(16384 + 512, bytes.Length);
        Assert.Equal(4, bytes[63]);
    }

    [Fact]
    public void The_writers_repeat_the_bytes_of_Windows_10()
    {
        var sample = VhdSamples.Read("dfvfs-fat-differential.vhd");
        var bytes = new byte[1536];
        VhdFooterWriter.Write(new VhdFooterView(sample).ToFooter(), bytes);
        VhdDynamicHeaderWriter.Write(new VhdDynamicHeaderView(sample.AsSpan(512)).ToHeader(), bytes.AsSpan(512));
        Assert.Equal(sample[..1536], bytes);
    }

    [Theory]
    [InlineData(ImageKind.Dynamic, 1, 2 << 20)]
    [InlineData(ImageKind.Dynamic, 512, 512)]
    [InlineData(ImageKind.Dynamic, 2040 * GiB, 2 << 20)]
    [InlineData(ImageKind.Dynamic, (2040 * GiB) - 1, 256 << 20)]
    [InlineData(ImageKind.Dynamic, 1000 * GiB, 512 << 10)]
    [InlineData(ImageKind.Differencing, 2040 * GiB, 2 << 20)]
    [InlineData(ImageKind.Differencing, 512, 2 << 20)]
    [InlineData(ImageKind.Fixed, 512, 0)]
    [InlineData(ImageKind.Fixed, (3000 * GiB) + 1, 0)]
    public async Task What_is_created_is_read_back_without_a_warning(ImageKind kind, long size, int blockSize)
    {
        var storage = await CreateAsync(new()
        {
            Kind = kind,
            Size = size,
            BlockSize = blockSize,
            UniqueId = UniqueId,
            Timestamp = Time,
            Parent = kind == ImageKind.Differencing ? new() { UniqueId = UniqueId, AbsolutePath = "/a/\uD800b.vhd", RelativePath = "../\uD800b.vhd" } : null,
        });
        var examination = await VhdExaminer.ExamineAsync(storage, new ImageOpenOptions { Writable = true }, TestContext.Current.CancellationToken);
        Assert.DoesNotContain(examination.Findings, finding => finding.Severity != FindingSeverity.Note);
        Assert.Equal((kind, (size + 511) / 512 * 512), (examination.Metadata!.Kind, examination.Metadata.VirtualSize));
        if (kind == ImageKind.Differencing)
        {
            Assert.Equal([new(VhdPlatformCode.W2ku, "/a/\uD800b.vhd"), new(VhdPlatformCode.W2ru, "..\\\uD800b.vhd")], examination.Metadata.ParentLocators);
        }
    }

    [Theory]
    [InlineData(ImageKind.Dynamic, 0, 2 << 20)]
    [InlineData(ImageKind.Dynamic, -1, 2 << 20)]
    [InlineData(ImageKind.Dynamic, (2040 * GiB) + 1, 2 << 20)]
    [InlineData(ImageKind.Dynamic, 2040 * GiB, 512 << 10)]
    [InlineData(ImageKind.Dynamic, 9 * GiB, 512)]
    [InlineData(ImageKind.Dynamic, 1 << 20, 1000)]
    [InlineData(ImageKind.Dynamic, 1 << 20, 512 << 20)]
    [InlineData(ImageKind.Dynamic, 1 << 20, -512)]
    [InlineData(ImageKind.Fixed, long.MaxValue, 0)]
    public async Task What_the_format_cannot_hold_is_refused_before_anything_is_written(ImageKind kind, long size, int blockSize)
    {
        var storage = new MemoryStorage();
        await Assert.ThrowsAsync<UnsupportedImageException>(async () => await VhdCreator.CreateAsync(
            storage, new() { Kind = kind, Size = size, BlockSize = blockSize, UniqueId = UniqueId, Timestamp = Time }, TestContext.Current.CancellationToken));
        Assert.Equal(0, storage.Length);
    }

    [Fact]
    public async Task A_size_that_its_geometry_covers_is_the_same_for_every_reader()
    {
        foreach (var size in new[] { 1, 16 << 20, (16 << 20) + 512, GiB, 40 * GiB, 127 * GiB, 128 * GiB })
        {
            var storage = await CreateAsync(new() { Kind = ImageKind.Dynamic, Size = size, UniqueId = UniqueId, Timestamp = Time, ChsCompatible = true });
            var footer = new VhdFooterView(storage.ToArray()).ToFooter();
            Assert.True(footer.Geometry.Size == (long)footer.CurrentSize || footer.Geometry == VhdGeometryCalculator.Largest);
            Assert.InRange((long)footer.CurrentSize, size, size + (8 << 20));
        }
    }

    [Fact]
    public async Task On_a_block_device_the_footer_is_the_last_sector()
    {
        foreach (var kind in new[] { ImageKind.Dynamic, ImageKind.Fixed })
        {
            var storage = new MemoryStorage("/dev/disk", new StorageTraits { CanWrite = true, IsBlockDevice = true, ExtensionReadsZeros = false });
            var old = new byte[8 << 20];
            Array.Fill(old, (byte)0xEE);
            storage.Replace(old);
            await VhdCreator.CreateAsync(storage, new() { Kind = kind, Size = 4 << 20, UniqueId = UniqueId, Timestamp = Time }, TestContext.Current.CancellationToken);
            var metadata = await VhdMetadataReader.ReadAsync(storage, new ImageOpenOptions(), TestContext.Current.CancellationToken);
            Assert.Equal(((8 << 20) - 512, 4 << 20), (metadata.EndFooterOffset, metadata.VirtualSize));
            Assert.True(kind == ImageKind.Dynamic || !storage.ToArray().AsSpan(0, 4 << 20).ContainsAnyExcept((byte)0));
            await Assert.ThrowsAsync<StorageException>(async () => await VhdCreator.CreateAsync(
                storage, new() { Kind = ImageKind.Fixed, Size = 8 << 20, UniqueId = UniqueId, Timestamp = Time }, TestContext.Current.CancellationToken));
        }
    }

    private static async Task<MemoryStorage> CreateAsync(VhdCreateParameters parameters)
    {
        var storage = new MemoryStorage();
        await VhdCreator.CreateAsync(storage, parameters, TestContext.Current.CancellationToken);
        return storage;
    }

    private static byte[] Golden(int size, params (int Offset, string Hex)[] parts)
    {
        var bytes = new byte[size];
        foreach (var (offset, hex) in parts)
        {
            Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal)).CopyTo(bytes, offset);
        }

        return bytes;
    }

    private static void PutChecksum(byte[] bytes, int offset) =>
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(offset), ~(uint)bytes.Sum(value => value));
}
