using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Tests.Vhd;

/// <summary>Whatever the bytes: opening either works or says why not, a check reports, nothing is written, and little memory is taken.</summary>
public sealed class BadInputTests
{
    private const int BlockSize = 4096; // bytes
    private const int Size = 10 * BlockSize; // bytes
    private const string Path = "/vm/leaf.vhd";

    // Offset and bytes of every field, from the structure's start.
    private static readonly (int Offset, int Size)[] FooterFields =
        [(0, 8), (8, 4), (12, 4), (16, 8), (24, 4), (28, 4), (32, 4), (36, 4), (40, 8), (48, 8), (56, 2), (58, 1), (59, 1), (60, 4), (64, 4), (68, 8), (76, 8), (84, 1), (85, 1), (504, 8)];

    private static readonly (int Offset, int Size)[] HeaderFields =
        [(0, 8), (8, 8), (16, 8), (24, 4), (28, 4), (32, 4), (36, 4), (40, 8), (48, 8), (56, 4), (60, 4), (64, 8), (568, 8), .. LocatorFields(), (1016, 8)];

    private static readonly (int Offset, int Size)[] BatmapFields = [(0, 8), (8, 8), (16, 4), (20, 4), (24, 4), (28, 1), (29, 1)];

    private static readonly byte[] BaseImage = Base().Build();

    public static TheoryData<string> Images => ["fixed", "fixed 511", "dynamic", "xen", "xen child", "windows child"];

    [Theory]
    [MemberData(nameof(Images))]
    public async Task An_image_cut_at_any_length_is_read_and_written_or_refused(string kind)
    {
        var whole = Build(kind);
        for (var length = 0; length <= whole.Length; length++)
        {
            var isNearStructure = length < 4700 || length > whole.Length - 1100 || length % 512 is < 2 or > 510;
            if (isNearStructure)
            {
                Try(whole[..length], $"{kind}, {length} bytes", isWhole: length == whole.Length);
                await TryWritingAsync(whole[..length], $"{kind}, {length} bytes");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Images))]
    public void Every_field_at_its_extremes_is_read_or_refused(string kind)
    {
        var whole = Build(kind);
        foreach (var (start, fields) in Structures(kind, whole.Length))
        {
            foreach (var (offset, size) in fields)
            {
                // One of two footers: that they differ is the case here, not the value.
                var isOneOfTwo = start.Length == 1 && fields == FooterFields;
                foreach (var value in Extremes(size, whole.Length).Where(value => !isOneOfTwo || value is 0 or 2 or > uint.MaxValue))
                {
                    // With its checksum wrong too, an image is refused for that alone, or read with the checksum ignored.
                    foreach (var mended in value is 0 or > uint.MaxValue ? new[] { true, false } : [true])
                    {
                        var image = (byte[])whole.Clone();
                        PutAll(image, start, offset, size, value, mended);
                        Try(image, $"{kind}, {size} bytes at {start[0]} + {offset} set to 0x{value:X}, mended: {mended}", isWhole: false);
                    }
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Images))]
    public async Task Opened_for_writing_a_field_at_its_extremes_is_refused_or_keeps_the_content_and_the_file_small(string kind)
    {
        var whole = Build(kind);
        foreach (var (start, fields) in Structures(kind, whole.Length))
        {
            foreach (var (offset, size) in fields)
            {
                var isOneFooter = start.Length == 1 && start[0] != 512 && fields[0] == FooterFields[0] && fields.Length > 10;
                foreach (var value in Extremes(size, whole.Length).Where(value => !isOneFooter || value is 0 or 2 or 4 or 512 or > uint.MaxValue))
                {
                    if (start[0] == 512 && offset == 32)
                    {
                        continue; // a new block is as large as the header says
                    }

                    var what = $"{kind}, {size} bytes at {start[0]} + {offset} set to 0x{value:X}";
                    var image = (byte[])whole.Clone();
                    PutAll(image, start, offset, size, value, mended: true);
                    await TryWritingAsync(image, what);
                }
            }
        }
    }

    private static async Task TryWritingAsync(byte[] image, string what)
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add(Path, image);
        resolver.Add("/vm/base.vhd", BaseImage);
        var content = await TryReadAsync(resolver);
        var written = new byte[600];
        Array.Fill(written, (byte)0x5A);
        try
        {
            await using (await OpenForWritingAsync(resolver))
            {
            }

            Assert.True(content is not null, $"{what}: it is refused for reading, and opened for writing");
            var closed = await TryReadAsync(resolver);
            Assert.True(content.AsSpan().SequenceEqual(closed), $"{what}: opening for writing changed what is read");
            await using var disk = await OpenForWritingAsync(resolver);
            written = written[..(int)Math.Min(disk.Length, written.Length)];
            await disk.WriteAsync(0, written, cancellationToken: TestContext.Current.CancellationToken);
        }
        catch (ImageException)
        {
            Assert.True(image.AsSpan().SequenceEqual(resolver.GetBytes(Path)), what);
            return;
        }
        catch (Exception exception) when (exception is not Xunit.Sdk.IAssertionException)
        {
            Assert.Fail($"{what}: {exception}");
        }

        written.CopyTo(content!, 0);
        var after = await TryReadAsync(resolver);
        Assert.True(content.AsSpan().SequenceEqual(after), $"{what}: writing changed something else");

        await using var storage = await resolver.OpenAsync(Path, VhdCore.Storage.StorageOpenOptions.ForReading, TestContext.Current.CancellationToken);
        Assert.True(storage.Length < 1 << 20, $"{what}: the file has {storage.Length} bytes now");
    }

    private static ValueTask<VirtualDisk> OpenForWritingAsync(MemoryStorageResolver resolver) =>
        VirtualDisk.OpenAsync(Path, new ImageOpenOptions { Format = ImageFormat.Vhd, Writable = true }, resolver, TestContext.Current.CancellationToken);

    /// <summary>The disk's beginning; null where it is refused.</summary>
    private static async Task<byte[]?> TryReadAsync(MemoryStorageResolver resolver)
    {
        try
        {
            await using var disk = await VirtualDisk.OpenAsync(Path, new ImageOpenOptions { Format = ImageFormat.Vhd }, resolver, TestContext.Current.CancellationToken);
            var bytes = new byte[(int)Math.Min(disk.Length, 2 * Size)];
            await disk.ReadAsync(0, bytes, TestContext.Current.CancellationToken);
            return bytes;
        }
        catch (ImageException)
        {
            return null;
        }
    }

    private static void Try(byte[] image, string what, bool isWhole)
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add(Path, image);
        if (what.Contains("child", StringComparison.Ordinal))
        {
            resolver.Add("/vm/base.vhd", BaseImage);
        }

        var allocated = Allocations.Of(() => DescribeAndReadAsync(resolver, image, what, isWhole));
        Assert.True(allocated < 16 << 20, $"{what}: {allocated} bytes were allocated.");
        Assert.True(image.AsSpan().SequenceEqual(resolver.GetBytes(Path)), what);
    }

    private static async Task DescribeAndReadAsync(MemoryStorageResolver resolver, byte[] image, string what, bool isWhole)
    {
        try
        {
            var report = await CheckOperation.RunAsync(Path, new ImageOpenOptions { Format = ImageFormat.Vhd }, resolver, TestContext.Current.CancellationToken);
            Assert.All(report.Findings, finding => Assert.True(finding.FileOffset is not null && finding.Message.Length > 20, what));
            var isReadable = await IsReadableAsync(resolver, new ImageOpenOptions { Format = ImageFormat.Vhd }, what);
            if (image.Length % 512 is 0 or 511)
            {
                await IsReadableAsync(resolver, new ImageOpenOptions { Format = ImageFormat.Vhd, IgnoreBadChecksum = true, VhdSize = VhdSizeChoice.Chs }, what);
            }

            Assert.True(isReadable || !isWhole, what);
            Assert.True(isReadable || report.Findings.Any(finding => finding.Severity >= CheckSeverity.Warning), $"{what}: it is refused, and the check finds nothing");
        }
        catch (Exception exception) when (exception is not Xunit.Sdk.IAssertionException)
        {
            Assert.Fail($"{what}: {exception}");
        }
    }

    private static async Task<bool> IsReadableAsync(MemoryStorageResolver resolver, ImageOpenOptions options, string what)
    {
        try
        {
            await using var disk = await VirtualDisk.OpenAsync(Path, options, resolver, TestContext.Current.CancellationToken);
            var bytes = new byte[(int)Math.Min(disk.Length, Size)];
            await disk.ReadAsync(0, bytes, TestContext.Current.CancellationToken);
            await disk.ReadAsync(disk.Length - bytes.Length, bytes, TestContext.Current.CancellationToken);
            return true;
        }
        catch (ImageException exception)
        {
            Assert.True(exception.Path is not null && exception.Message.Contains(exception.Path, StringComparison.Ordinal), what);
            Assert.True(exception.FileOffset is not null || exception.Kind == ImageErrorKind.ParentMismatch, what + ": " + exception);
            return false;
        }
    }

    private static byte[] Build(string kind) => kind switch
    {
        "fixed" => Builder(PlainDialect.Windows, isFixed: true).Build(),
        "fixed 511" => new PlainVhdBuilder { FileName = "leaf.vhd", Size = Size, IsFixed = true, FooterLength = 511 }.PutText(0, 20).Build(),
        "dynamic" => Builder(PlainDialect.Qemu).Build(),
        "xen" => Builder(PlainDialect.Xen).Build(),
        "xen child" => Child(PlainDialect.Xen).Build(),
        _ => Child(PlainDialect.Windows).Build(),
    };

    private static PlainVhdBuilder Builder(PlainDialect dialect, bool isFixed = false) =>
        new PlainVhdBuilder { FileName = "leaf.vhd", Id = 3, Size = Size, BlockSize = BlockSize, Dialect = dialect, IsFixed = isFixed }.PutText(0, 8).PutText(70, 10);

    private static PlainVhdBuilder Child(PlainDialect dialect) =>
        new PlainVhdBuilder { FileName = "leaf.vhd", Id = 4, Size = Size, BlockSize = BlockSize, Dialect = dialect, Parent = Base() }.PutText(3, 2).PutText(70, 10);

    private static PlainVhdBuilder Base() =>
        new PlainVhdBuilder { FileName = "base.vhd", Id = 5, Size = Size, BlockSize = BlockSize, Dialect = PlainDialect.Xen }.PutText(0, 4);

    // Each structure's places in the file; more than one are changed alike.
    private static IEnumerable<(int[] Start, (int Offset, int Size)[] Fields)> Structures(string kind, int length)
    {
        if (kind.StartsWith("fixed", StringComparison.Ordinal))
        {
            yield return ([length - (kind == "fixed" ? 512 : 511)], FooterFields[..^1]);
            yield break;
        }

        var table = kind == "windows child" ? 8192 : 1536;
        yield return ([0, length - 512], FooterFields);
        yield return ([0], FooterFields);
        yield return ([length - 512], FooterFields);
        yield return ([512], HeaderFields);
        yield return ([table], [(0, 4), (4, 4), (36, 4), (40, 4)]);
        if (kind.StartsWith("xen", StringComparison.Ordinal))
        {
            yield return ([table + 512], BatmapFields);
        }
    }

    private static IEnumerable<(int Offset, int Size)> LocatorFields()
    {
        foreach (var entry in new[] { 576, 600, 624, 744 })
        {
            yield return (entry, 4);
            yield return (entry + 4, 4);
            yield return (entry + 8, 4);
            yield return (entry + 12, 4);
            yield return (entry + 16, 8);
        }
    }

    private static IEnumerable<ulong> Extremes(int size, int fileLength)
    {
        var max = size == 8 ? ulong.MaxValue : (1UL << (size * 8)) - 1;
        var half = (max / 2) + 1;
        ulong[] values =
        [
            0, 1, 2, 3, 4, 6, 255, 511, 512, 513, 1023, 1024, 1536, 2048, 4096, 65536, 65537, 1 << 28, 1 << 29,
            (ulong)fileLength - 1, (ulong)fileLength, (ulong)fileLength + 1, (ulong)fileLength - 512, (ulong)fileLength - 1024, (ulong)fileLength / 512,
            half - 1, half, half + 1, half - 511, max - 1023, max - 511, max - 1, max,
        ];
        return values.Where(value => value <= max).Distinct();
    }

    private static void PutAll(byte[] image, int[] starts, int offset, int size, ulong value, bool mended)
    {
        foreach (var start in starts)
        {
            PlainWriting.Number(image, start + offset, value, size);
            if (mended && start == 512)
            {
                PlainWriting.MendHeader(image, start);
            }
            else if (mended && (start == 0 || start >= image.Length - 512) && offset != 64)
            {
                PlainWriting.MendFooter(image, start);
            }
        }
    }
}
