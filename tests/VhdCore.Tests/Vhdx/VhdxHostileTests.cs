using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using static VhdCore.Tests.Vhdx.VhdxImages;

namespace VhdCore.Tests.Vhdx;

/// <summary>Whatever the bytes are, opening ends with an image or with an exception that names the place, and reading with a status.</summary>
public class VhdxHostileTests
{
    private static readonly (long Offset, int Size)[] Summed = [(65536, 4096), (131072, 4096), (196608, 65536), (262144, 65536)];

    private static readonly PlainVhdxBuilder Builder = new()
    {
        DiskSize = 3 * MiB,
        Locator = [("parent_linkage", "10000001-0002-0003-0405-060708090a0b"), ("relative_path", "p.vhdx")],
        Blocks = new() { [0] = new(6, Pattern(0)), [1] = new(7, Pattern(1)) { HasSector = sector => sector % 3 == 0 }, [2] = new(2) },
    };

    private static readonly byte[] Clean = Builder.Build();
    private static readonly byte[] Dirty = MakeDirty();

    private byte[] _work = [];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_file_cut_short_at_any_length_is_refused_or_read(bool isDirty)
    {
        var whole = isDirty ? Dirty : Clean;
        var lengths = Enumerable.Range(0, 5 * MiB / 4096).Select(i => i * 4096)
            .Concat(Enumerable.Range(0, whole.Length / MiB).SelectMany(i => new[] { (i * MiB) - 1, (i * MiB) + 1, (i * MiB) + 512 }))
            .Append(whole.Length - 1)
            .Where(length => length >= 0);
        foreach (var length in lengths)
        {
            var isRead = await TryAsync(whole[..length], $"{length} bytes");
            Assert.False(isRead && (isDirty || length < 4 * MiB), $"{length} bytes"); // nothing opens without its tables; and a log says how long the file was
        }
    }

    [Fact]
    public async Task Every_field_may_have_any_extreme_value()
    {
        var fields = new List<long>();
        Add(65536, 80);
        Add(196608, 16 + (2 * 32));
        Add(2 * MiB, 32 + (6 * 32));
        Add((2 * MiB) + 65536, 200);
        Add(Builder.EntryOffset(0), 32);
        fields.Add(Builder.BitmapEntryOffset(0));
        Add(PlainVhdxBuilder.LogOffset, 64 + (2 * 32));
        var opened = 0;
        var tried = 0;
        foreach (var field in fields)
        {
            foreach (var value in new ulong[] { 0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFF00006, 0x100007 })
            {
                var image = Fresh(tried++ % 2 == 0 ? Clean : Dirty);
                PlainVhdxBytes.Number(image, field, value, 4);
                if (field is >= 65536 and < 65536 + 4096 or >= 196608 and < 262144)
                {
                    // Both copies say the same.
                    PlainVhdxBytes.Number(image, field + 65536, value, 4);
                }

                opened += await TryAsync(Mended(image), $"0x{value:X} at {field}") ? 1 : 0;
            }
        }

        Assert.InRange(opened, 100, tried - 100);

        void Add(long start, int size)
        {
            for (var at = start; at < start + size; at += 4)
            {
                fields.Add(at);
            }
        }
    }

    [Fact]
    public async Task Random_damage_to_the_structures_is_refused_or_read()
    {
        for (var seed = 0; seed < 500; seed++)
        {
            var random = new Random(seed);
            var image = Fresh(random.Next(2) == 0 ? Clean : Dirty);
            var count = random.Next(1, 5);
            for (var i = 0; i < count; i++)
            {
                var (start, size) = random.Next(6) switch
                {
                    0 => (65536, 80),
                    1 => (196608, 80),
                    2 => (2 * MiB, 300),
                    3 => ((2 * MiB) + 65536, 300),
                    4 => ((int)Builder.EntryOffset(0), 64),
                    _ => ((int)PlainVhdxBuilder.LogOffset, 3 * 4096),
                };
                image[start + random.Next(size)] = (byte)random.Next(256);
            }

            await TryAsync(random.Next(4) == 0 ? image : Mended(image), $"seed {seed}");
        }
    }

    /// <summary>Whether the image opens; anything but what may happen fails the test.</summary>
    private static async Task<bool> TryAsync(byte[] image, string what)
    {
        try
        {
            await using var device = await OpenAsync(new ImageOpenOptions { TableCacheBytes = 1 << 20 }, image);
            using var buffer = new NativeBuffer(64 << 10);
            for (long offset = 0; offset < Math.Min(device.Length, 4 * MiB); offset += 768 << 10)
            {
                var length = (int)Math.Min(buffer.Length, device.Length - offset);
                var status = await device.ReadAsync(offset, buffer.Slice(0, length), TestContext.Current.CancellationToken);
                Assert.True(status is BlockStatus.Ok or BlockStatus.Corrupt or BlockStatus.IoError, $"{what}: {status}");
            }

            return true;
        }
        catch (ImageException exception)
        {
            Assert.True(exception is CorruptImageException or UnsupportedImageException, $"{what}: {exception}");
            Assert.Equal("image.vhdx", exception.Path);
            Assert.NotNull(exception.FileOffset);
            return false;
        }
        catch (Exception exception) when (exception is not Xunit.Sdk.IAssertionException)
        {
            Assert.Fail($"{what}: {exception}");
            return false;
        }
    }

    // All structures lie in the first 4 MiB: the rest is copied once.
    private byte[] Fresh(byte[] template)
    {
        if (_work.Length != template.Length)
        {
            _work = template.ToArray();
        }

        Array.Copy(template, _work, 4 * MiB);
        return _work;
    }

    private static byte[] Mended(byte[] image)
    {
        foreach (var (offset, size) in Summed)
        {
            PlainVhdxBytes.Mend(image, offset, size);
        }

        // The log's only entry, of one descriptor sector and two data sectors.
        if (image[PlainVhdxBuilder.LogOffset] == 'l')
        {
            PlainVhdxBytes.Mend(image, PlainVhdxBuilder.LogOffset, 3 * 4096);
        }

        return image;
    }

    private static byte[] MakeDirty()
    {
        var image = Clean.ToArray();
        var log = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, MiB, PlainVhdxBytes.Identifier("5e551000-0000-4000-8000-000000000001"));
        log.Add(log.Take(Builder.BatOffset, old: 0), log.Take(Builder.BatOffset + (8 * 8192 / 4096 * 4096), old: 0));
        log.MarkDirty();
        return image;
    }
}
