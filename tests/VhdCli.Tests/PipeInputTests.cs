using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCli.Tests;

/// <summary>convert from standard input and named pipes: raw, fixed and dynamic VHD in one forward pass.</summary>
public sealed class PipeInputTests
{
    public static TheoryData<string, string, int> SourcesAndTargets()
    {
        var data = new TheoryData<string, string, int>();
        foreach (var source in new[] { "raw", "subformat=fixed", "subformat=dynamic", "subformat=dynamic,block_size=16k" })
        {
            foreach (var target in new[] { "-O raw", "-O vhd", "-O vhd -o subformat=fixed", "-O vhdx --block-size=1M" })
            {
                foreach (var size in new[] { 512, (1 * Images.MiB) + 512, 2 * Images.MiB, (5 * Images.MiB) - 512 })
                {
                    data.Add(source, target, size);
                }
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(SourcesAndTargets))]
    public async Task Through_pipes_of_any_pace_the_bytes_are_the_same(string source, string target, int size)
    {
        using var folder = new TempFolder();
        var content = Images.WriteRaw(folder["a.raw"], size, seed: size);
        var input = source == "raw" ? content : await SendAsync(folder["a.raw"], "-f", "raw", "-O", "vhd", "-o", source);
        var result = (await RunAsync(new ChoppyStream(input, seed: size), ["convert", "-q", .. target.Split(' '), "-", folder["out"]])).EnsureSuccess();
        Assert.Empty(result.Bytes);
        Assert.Equal([folder["a.raw"], folder["out"]], Directory.GetFileSystemEntries(folder.Path).Order());
        Assert.StartsWith(Images.HashOf(content), (await Cli.RunAsync("hash", "-f", target.Split(' ')[1], folder["out"])).EnsureSuccess().Output, StringComparison.Ordinal);
        if (target.Contains("vhd", StringComparison.Ordinal) && !target.Contains("vhdx", StringComparison.Ordinal))
        {
            using var plain = PlainChain.OpenFile(folder["out"], PlainRules.StrictEnd);
            Assert.Equal(Images.HashOf(content), plain.Hash());
        }
    }

    [Theory]
    [InlineData("raw", "-O raw")]
    [InlineData("raw", "-O vhd -o subformat=fixed")]
    [InlineData("raw", "-O vhd --size 3145728")]
    [InlineData("subformat=fixed", "-O raw")]
    [InlineData("subformat=fixed", "-O vhd -o subformat=fixed")]
    [InlineData("subformat=dynamic", "-O raw")]
    [InlineData("subformat=dynamic", "-O vhd")]
    public async Task From_one_pipe_into_another(string source, string target)
    {
        using var folder = new TempFolder();
        var content = Images.WriteRaw(folder["a.raw"], 3 * Images.MiB);
        var input = source == "raw" ? content : await SendAsync(folder["a.raw"], "-f", "raw", "-O", "vhd", "-o", source);
        var sent = (await RunAsync(new ChoppyStream(input, 3), ["convert", "-q", .. target.Split(' '), "-", "-"])).EnsureSuccess().Bytes;
        if (target == "-O raw")
        {
            Assert.Equal(Images.HashOf(content), Images.HashOf(sent));
        }
        else
        {
            using var plain = PlainChain.OpenBytes(sent, PlainRules.StrictEnd);
            Assert.Equal(Images.HashOf(content), plain.Hash());
        }
    }

    [Fact]
    public async Task What_needs_the_size_first_waits_in_a_file_and_says_so_unless_the_size_is_given()
    {
        using var folder = new TempFolder();
        var content = Images.WriteRaw(folder["a.raw"], 3 * Images.MiB);
        var spooled = (await Cli.RunAsync(["convert", "-", folder["b.vhdx"]], content)).EnsureSuccess();
        Assert.Contains("--size", spooled.Error, StringComparison.Ordinal);
        var direct = (await Cli.RunAsync(["convert", "--size=3M", "-", folder["c.vhdx"]], content)).EnsureSuccess();
        Assert.DoesNotContain("--size", direct.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("--size", (await Cli.RunAsync(["convert", "-", folder["d.raw"]], content)).EnsureSuccess().Error, StringComparison.Ordinal);
        Assert.Contains("identical", (await Cli.RunAsync("compare", folder["b.vhdx"], folder["c.vhdx"])).EnsureSuccess().Output, StringComparison.Ordinal);
        Assert.Equal(Images.HashOf(content), Images.HashOf(folder["d.raw"]));
        Assert.Empty(Directory.EnumerateFiles(folder.Path, "*.part"));
    }

    [Fact]
    public async Task Blocks_in_any_order_find_their_places_in_a_file_and_are_refused_for_a_pipe()
    {
        var image = new PlainVhdBuilder { FileName = "a.vhd", Size = 8 * 65536, BlockSize = 65536 };
        var random = new Random(5);
        foreach (var sector in new[] { 900, 3, 400, 1023, 130 })
        {
            var bytes = new byte[512];
            random.NextBytes(bytes);
            image.Put(sector, bytes);
        }

        var input = Shuffle(image.Build(), 65536);
        using var folder = new TempFolder();
        (await RunAsync(new ChoppyStream(input, 9), ["convert", "-O", "raw", "-", folder["b.raw"]])).EnsureSuccess();
        Assert.Equal(Images.HashOf(image.Content()), Images.HashOf(folder["b.raw"]));
        var refused = (await Cli.RunAsync(["convert", "-O", "raw", "-", "-"], input)).EnsureExit(1);
        Assert.Contains("order", refused.Error, StringComparison.Ordinal);
        Assert.Empty(refused.Bytes);
    }

    [Fact]
    public async Task An_image_cut_short_anywhere_is_an_error_and_leaves_no_target()
    {
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], 3 * Images.MiB);
        var dynamic = await SendAsync(folder["a.raw"], "-f", "raw", "-O", "vhd");
        foreach (var length in new[] { 0, 1, 511, 512, 1000, 1536, 4096, 5000, 8192, 100_000, dynamic.Length / 2, dynamic.Length - 513, dynamic.Length - 512, dynamic.Length - 100, dynamic.Length - 2 }) // one less is a footer of 511 bytes, as of old
        {
            foreach (var target in new[] { "-O raw", "-O vhdx" })
            {
                // Without the first sectors it is not told from a raw disk, so the format is named.
                var result = (await Cli.RunAsync(["convert", "-q", "-f", "vhd", .. target.Split(' '), "-", folder["out"]], dynamic[..length])).EnsureExit(1);
                Assert.DoesNotContain("internal error", result.Error, StringComparison.Ordinal);
                Assert.Equal([folder["a.raw"]], Directory.GetFileSystemEntries(folder.Path));
            }
        }

        var few = (await Cli.RunAsync(["convert", "-O", "raw", "--size=3M", "-", folder["out"]], new byte[(3 * Images.MiB) - 512])).EnsureExit(1);
        Assert.Contains("cut short", few.Error, StringComparison.Ordinal);
        var many = (await Cli.RunAsync(["convert", "-O", "raw", "-f", "raw", "--size=3M", "-", folder["out"]], new byte[(3 * Images.MiB) + 512])).EnsureExit(1);
        Assert.Contains("goes on", many.Error, StringComparison.Ordinal);
        (await Cli.RunAsync(["convert", "-O", "vhdx", "-", folder["out"]], [])).EnsureExit(1);
        Assert.Equal([folder["a.raw"]], Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public async Task A_target_that_exists_stays_when_the_input_is_cut_short()
    {
        using var folder = new TempFolder();
        Images.WriteRaw(folder["a.raw"], 3 * Images.MiB);
        var dynamic = await SendAsync(folder["a.raw"], "-f", "raw", "-O", "vhd");
        foreach (var name in new[] { "b.raw", "b.vhdx" })
        {
            File.WriteAllText(folder[name], "old");
            (await Cli.RunAsync(["convert", "-", folder[name]], dynamic[..^600])).EnsureExit(1);
            Assert.Equal("old", File.ReadAllText(folder[name]));
            (await Cli.RunAsync(["convert", "-", folder[name]], dynamic)).EnsureSuccess();
            Assert.StartsWith(Images.HashOf(folder["a.raw"]), (await Cli.RunAsync("hash", folder[name])).EnsureSuccess().Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_fixed_VHD_is_told_by_its_footer_and_raw_bytes_that_end_like_one_are_kept_when_asked_for()
    {
        using var folder = new TempFolder();
        var content = Images.WriteRaw(folder["a.raw"], Images.MiB);
        var input = await SendAsync(folder["a.raw"], "-f", "raw", "-O", "vhd", "-o", "subformat=fixed");
        (await Cli.RunAsync(["convert", "-", folder["b.raw"]], input)).EnsureSuccess();
        Assert.Equal(Images.HashOf(content), Images.HashOf(folder["b.raw"]));
        (await Cli.RunAsync(["convert", "--size=1M", "-", folder["b.raw"]], input)).EnsureSuccess();
        Assert.Equal(Images.HashOf(content), Images.HashOf(folder["b.raw"]));
        (await Cli.RunAsync(["convert", "-f", "raw", "-", folder["c.raw"]], input)).EnsureSuccess();
        Assert.Equal(Images.HashOf(input), Images.HashOf(folder["c.raw"]));

        // Told to be a VHD, a disk without a sound footer is never taken for raw; nor is one whose footer is damaged.
        (await Cli.RunAsync(["convert", "-f", "vhd", "-", folder["d.raw"]], content)).EnsureExit(1);
        input[^400] ^= 1;
        (await Cli.RunAsync(["convert", "-", folder["d.raw"]], input)).EnsureExit(1);
        Assert.False(File.Exists(folder["d.raw"]));
    }

    [Fact]
    public async Task What_cannot_come_through_a_pipe_is_refused_with_the_reason()
    {
        using var folder = new TempFolder();
        (await Cli.RunAsync("create", "-q", folder["a.vhdx"], "8M")).EnsureSuccess();
        (await Cli.RunAsync("create", "-q", folder["a.vhd"], "8M")).EnsureSuccess();
        (await Cli.RunAsync("create", "-q", "-b", folder["a.vhd"], folder["b.vhd"])).EnsureSuccess();
        var vhdx = (await Cli.RunAsync(["convert", "-", folder["out.raw"]], File.ReadAllBytes(folder["a.vhdx"]))).EnsureExit(1);
        Assert.Contains("log", vhdx.Error, StringComparison.Ordinal);
        Assert.Contains("Save it to a file", vhdx.Error, StringComparison.Ordinal);
        var child = (await Cli.RunAsync(["convert", "-", folder["out.raw"]], File.ReadAllBytes(folder["b.vhd"]))).EnsureExit(1);
        Assert.Contains("parent", child.Error, StringComparison.Ordinal);
        var qcow = (await Cli.RunAsync(["convert", "-", folder["out.raw"]], [.. "QFI\u00fb"u8[..3], 0xFB, .. new byte[4096]])).EnsureExit(1);
        Assert.Contains("-f raw", qcow.Error, StringComparison.Ordinal);
        var table = (await Cli.RunAsync(["convert", "-O", "vhd", "-", "-"], new byte[4096])).EnsureExit(1);
        Assert.Contains("--size", table.Error, StringComparison.Ordinal);
        Assert.Contains("--verify", (await Cli.RunAsync(["convert", "--verify", "-", folder["out.raw"]], new byte[512])).EnsureExit(1).Error, StringComparison.Ordinal);
        Assert.Contains("--size", (await Cli.RunAsync("convert", "--size=1M", folder["a.vhd"], folder["out.raw"])).EnsureExit(1).Error, StringComparison.Ordinal);
        Assert.False(File.Exists(folder["out.raw"]));
    }

    [Fact]
    public async Task Over_an_existing_target_a_pipe_may_be_shorter_but_not_longer()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["b.raw"], [.. Enumerable.Repeat((byte)0xEE, 8192)]);
        (await Cli.RunAsync(["convert", "-n", "-", folder["b.raw"]], new byte[4096])).EnsureSuccess();
        var after = File.ReadAllBytes(folder["b.raw"]);
        Assert.All(after[..4096], value => Assert.Equal(0, value));
        Assert.All(after[4096..], value => Assert.Equal(0xEE, value));
        Assert.Contains("longer", (await Cli.RunAsync(["convert", "-n", "-", folder["b.raw"]], new byte[8704])).EnsureExit(1).Error, StringComparison.Ordinal);
        Assert.Equal(8192, new FileInfo(folder["b.raw"]).Length);
    }

    [Fact]
    public async Task Odd_bytes_fill_a_sector_and_a_warning_says_so()
    {
        using var folder = new TempFolder();
        foreach (var extra in new[] { "-q", "--size=1000" })
        {
            var result = (await Cli.RunAsync(["convert", "-O", "raw", extra, "-", folder["b.raw"]], [.. Enumerable.Repeat((byte)7, 1000)])).EnsureSuccess();
            Assert.Contains("warning", result.Error, StringComparison.Ordinal);
            Assert.Equal([.. Enumerable.Repeat((byte)7, 1000), .. new byte[24]], File.ReadAllBytes(folder["b.raw"]));
        }
    }

    private static byte[] Shuffle(byte[] image, int blockSize)
    {
        // The first two blocks of the table change places in the file.
        var table = (int)System.Buffers.Binary.BinaryPrimitives.ReadInt64BigEndian(image.AsSpan(512 + 16));
        var present = Enumerable.Range(0, 8).Where(i => System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(image.AsSpan(table + (i * 4))) != uint.MaxValue).Take(2).ToArray();
        Assert.Equal(2, present.Length);
        var places = present.Select(i => (int)System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(image.AsSpan(table + (i * 4)))).ToArray();
        var shuffled = (byte[])image.Clone();
        for (var i = 0; i < 2; i++)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(shuffled.AsSpan(table + (present[i] * 4)), places[1 - i]);
            image.AsSpan(places[i] * 512, 512 + blockSize).CopyTo(shuffled.AsSpan(places[1 - i] * 512));
        }

        return shuffled;
    }

    private static async Task<byte[]> SendAsync(string source, params string[] args) =>
        (await Cli.RunAsync(["convert", .. args, source, "-"])).EnsureSuccess().Bytes;

    private static async Task<CliResult> RunAsync(Stream input, string[] args)
    {
        using var output = new MemoryStream();
        using var error = new StringWriter();
        using var session = new CliSession(() => input, () => output, () => TextWriter.Synchronized(error));
        var exitCode = await CommandLine.RunAsync(args, session, TestContext.Current.CancellationToken);
        return new CliResult(string.Join(' ', args), exitCode, output.ToArray(), error.ToString());
    }

    /// <summary>Gives as many bytes at a time as it likes, at once or later.</summary>
    private sealed class ChoppyStream(byte[] content, int seed) : Stream
    {
        private readonly Random _random = new(seed);
        private int _position;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_random.Next(3) == 0)
            {
                await Task.Yield();
            }

            var count = Math.Min(Math.Min(buffer.Length, content.Length - _position), _random.Next(1, _random.Next(3) == 0 ? 700 : 200_000));
            content.AsSpan(_position, count).CopyTo(buffer.Span);
            _position += count;
            return count;
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
